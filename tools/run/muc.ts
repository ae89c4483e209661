import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { installMuc } from "../desk/calibrated.ts"
import { mucServerId } from "../desk/desk.ts"
import { createFile } from "../pki/files.ts"
import { initPki } from "../pki/init.ts"

/** Where `plomb run muc` keeps a PKI and its MUCs unless told. */
const home = join(".plomb", "run")
/** The user's password, beside the memories of a MUC that was installed here. */
const passwordFile = "user-password"
/** KEY1PLC in hex, there too. */
const displayKeyFile = "key1plc"

export interface RunMuc {
    /** Folder of the board's memories. */
    stateDir: string
    pki: string
}

/**
 * A MUC to run: the one kept in `state`, or one produced and installed now by the parties of `pki`, who are made too
 * where there are none. The folder gets its name when all is done.
 */
export async function prepareMuc(serial: number, state?: string, pki = join(home, "pki")): Promise<RunMuc> {
    const stateDir = state ?? join(home, `muc-${serial}`)
    if (existsSync(join(stateDir, "mb85rc1mt.bin"))) return { stateDir, pki }
    mkdirSync(dirname(stateDir), { recursive: true, mode: 0o700 })
    if (!existsSync(pki)) {
        mkdirSync(dirname(pki), { recursive: true, mode: 0o700 })
        await initPki(pki)
    }
    const partial = `${stateDir}.${process.pid}.partial`
    try {
        const password = randomBytes(9).toString("base64url")
        const displayKey = randomBytes(32)
        await installMuc(partial, pki, serial, undefined, [], password, displayKey)
        createFile(join(partial, `muc-${serial}`, passwordFile), `${password}\n`, true)
        createFile(join(partial, `muc-${serial}`, displayKeyFile), `${displayKey.toString("hex")}\n`, true)
        rmSync(stateDir, { recursive: true, force: true })
        renameSync(join(partial, `muc-${serial}`), stateDir)
    } finally {
        rmSync(partial, { recursive: true, force: true })
    }
    return { stateDir, pki }
}

/** The key of the display at the other end of the power line; none where the MUC was not installed here. */
export function displayKeyOf({ stateDir }: RunMuc): string {
    const file = join(stateDir, displayKeyFile)
    return existsSync(file) ? readFileSync(file, "utf8").trim() : ""
}

/** How the customer's page is read at `port` of this computer. */
export function customerLine(port: number, { stateDir }: RunMuc): string {
    const file = join(stateDir, passwordFile)
    const password = existsSync(file) ? readFileSync(file, "utf8").trim() : "PASSWORD"
    return `Customer's page: curl -k -u user:${password} https://127.0.0.1:${port}/`
}

/** What a person needs to know to let this MUC connect. */
export function mucLines(serial: number, { stateDir, pki }: RunMuc): string[] {
    const operator = join(pki, "operator")
    return [
        `MUC ${mucServerId(serial)}, installed; its memories are in ${stateDir}`,
        `CA it believes: ${join(pki, "ca-root", "cert.pem")}; its own certificate: ${join(pki, "mucs", mucServerId(serial), "chain.pem")}`,
        `It connects to an operator or concentrator of this CA who has a certificate for the name in uplink=HOST:PORT.`,
        `For localhost and 127.0.0.1: ${join(operator, "key.pem")} with ${join(operator, "chain.pem")}; for another name:`,
        `  npx plomb pki issue operator NAME --host HOST --in ${pki}`,
        `  openssl s_server -port PORT -key ${join(operator, "key.pem")} -cert ${join(operator, "cert.pem")} -cert_chain ${join(pki, "security-management", "cert.pem")} -CAfile ${join(pki, "ca-root", "cert.pem")} -Verify 3`,
    ]
}
