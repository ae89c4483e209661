/** Where a setting `HOST:PORT` points. */
export interface Endpoint {
    host: string
    port: number
}

/** Reads a setting `HOST:PORT`, port 1 to 65535; undefined for anything else. */
export function endpointOf(setting: string): Endpoint | undefined {
    const colon = setting.lastIndexOf(":")
    const port = parseInt(setting.slice(colon + 1))
    return colon > 0 && port > 0 && port < 65536 ? { host: setting.slice(0, colon), port: port } : undefined
}
