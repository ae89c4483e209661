import { pbkdf2Sync, randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { UsageError } from "../cli/usage.ts"
import { createFile } from "../pki/files.ts"
import type { HeldKey } from "./muc.ts"

/** Kinds of secrets (services/installation.md). */
export const kind = { mBus: 32, key1Plc: 33, key2Plc: 34, password: 35 }

/** What is installed: which secret, and where its value comes from; it is made or read when it is needed. */
export interface Secret {
    key: HeldKey
    /** For people. */
    name: string
    value(): Buffer
}

/**
 * Rounds of PBKDF2: about a second on a Pico (258 bytecode steps a round, measured in the VM, at 2.5 us; and an HMAC of four native blocks at 74 us). The rest is done by the lock-out after wrong passwords; the
 * verifier can only be tried offline by someone who has taken the MUC's memory.
 */
const iterations = 1024
const fewestCharacters = 8

/** The verifier of a password that a MUC keeps: iterations U32 BE, salt 16 octets, PBKDF2-HMAC-SHA-256 32 octets. */
export function passwordVerifier(password: string, salt: Uint8Array = randomBytes(16)): Buffer {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(iterations)
    return Buffer.concat([head, salt, pbkdf2Sync(password.normalize("NFC"), salt, iterations, 32, "sha256")])
}

/** The password in the first line of a file. Throws `UsageError`. */
export function passwordSecret(path: string): Secret {
    const password = read("--password-file", path).split(/\r?\n/)[0]
    if ([...password].length < fewestCharacters)
        throw new UsageError(`--password-file: the password has fewer than ${fewestCharacters} characters`)
    return {
        key: { kind: kind.password, address: "" },
        name: "the user's password",
        value: () => passwordVerifier(password),
    }
}

/**
 * A PLC key: `words` is a file with 64 hex digits, or "random": then it is made and kept in `kept`, which only its
 * owner may read, for the adapter at the other end. The same file is taken again when a broken installation goes on.
 */
export function plcSecret(option: "key1plc" | "key2plc", words: string, kept: string): Secret {
    const name = option === "key1plc" ? "KEY1PLC" : "KEY2PLC"
    const key = { kind: option === "key1plc" ? kind.key1Plc : kind.key2Plc, address: "" }
    if (words !== "random") {
        const value = fromHex(`--${option}`, read(`--${option}`, words).trim(), [32])
        return { key, name, value: () => value }
    }
    return {
        key,
        name: `${name}, kept for the adapter in ${kept}`,
        value: () => {
            if (!existsSync(kept)) createFile(kept, `${randomBytes(32).toString("hex")}\n`, true)
            return fromHex(kept, read(kept, kept).trim(), [32])
        },
    }
}

/** "ADDRESS=HEX" or "ADDRESS=@FILE": the key of a radio meter, address as on the air, 16 hex digits. */
export function mBusSecret(words: string): Secret {
    const [, address, source] = /^([0-9a-fA-F]{16})=(.+)$/.exec(words) ?? []
    if (!address)
        throw new UsageError(
            "--mbus-key takes ADDRESS=HEX or ADDRESS=@FILE, the address as 16 hex digits in the order of the air",
        )
    const text = source.startsWith("@") ? read("--mbus-key", source.slice(1)).trim() : source
    const value = fromHex(`--mbus-key ${address}`, text, [16, 32])
    return {
        key: { kind: kind.mBus, address: address.toLowerCase() },
        name: `K_MBus of radio meter ${address.toLowerCase()}`,
        value: () => value,
    }
}

function read(option: string, path: string): string {
    try {
        return readFileSync(path, "utf8")
    } catch (error) {
        throw new UsageError(`${option}: ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
}

/** Never tells what it read. */
function fromHex(where: string, text: string, lengths: number[]): Buffer {
    if (!/^([0-9a-fA-F]{2})*$/.test(text) || !lengths.includes(text.length / 2))
        throw new UsageError(`${where}: expected ${lengths.map(length => 2 * length).join(" or ")} hex digits`)
    const value = Buffer.from(text, "hex")
    if (value.every(octet => octet === 0)) throw new UsageError(`${where}: expected a key, came zeros`)
    return value
}
