import { UsageError } from "./usage.ts"

/** [HOST:]PORT of an option, or HOST:PORT where `hostNeeded`; without a host 127.0.0.1. Throws `UsageError`. */
export function addressOf(option: string, text = "", hostNeeded = false): { host: string; port: number } {
    const match = /^(?:(.+):)?(\d{1,5})$/.exec(text)
    const port = Number(match?.[2])
    if (!match || port > 65535 || (hostNeeded && (!match[1] || port === 0)))
        throw new UsageError(`${option} ${text}: expected ${hostNeeded ? "HOST:PORT" : "[HOST:]PORT"}`)
    return { host: match[1] ?? "127.0.0.1", port }
}

/** Seconds of an option, more than 0 and up to a day. Throws `UsageError`. */
export function secondsOf(text: string | undefined, option: string, otherwise: number): number {
    if (text === undefined) return otherwise
    const seconds = Number(text)
    if (!(seconds > 0 && seconds <= 86_400)) throw new UsageError(`${option} ${text}: expected seconds up to a day`)
    return seconds
}
