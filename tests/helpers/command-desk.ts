import { createPublicKey, verify } from "node:crypto"
import { verifyP256 } from "../../firmware/core/ecdsa"
import { Code } from "../../firmware/core/errors"
import { installPlatform } from "../../firmware/core/platform"
import type { Store } from "../../firmware/core/store"
import { nodePlatform } from "../../tools/node/platform.ts"
import { CommandDevice } from "../vm/device/command-device.ts"
import type { TestParty } from "./certificates.ts"
import { meterId } from "./commands.ts"

/** What was hashed last, by digest: node:crypto verifies over octets and not over digests. */
const hashed = new Map<string, Buffer>()

function sha256(parts: Buffer[]): Buffer {
    const digest = nodePlatform.sha256(parts)
    hashed.set(digest.toString("hex"), Buffer.concat(parts))
    if (hashed.size > 256) hashed.delete(hashed.keys().next().value ?? "")
    return digest
}

/** What was hashed to this digest. */
export function octetsOf(digest: Buffer): Buffer {
    const octets = hashed.get(digest.toString("hex"))
    if (!octets) throw new Error("a digest of nothing that was hashed")
    return octets
}

function verifyByNode(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
    const octets = octetsOf(digest)
    const [x, y] = [publicKey.subarray(0, 32), publicKey.subarray(32)].map(each => each.toString("base64url"))
    const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" })
    return verify("sha256", octets, { key, dsaEncoding: "ieee-p1363" }, signature)
}

/**
 * Signatures are judged by node:crypto, over the octets themselves; with `twice` by the core too, and a disagreement throws. Counts them.
 */
export function judgeByNode(twice: boolean): { verifications: number } {
    const counted = { verifications: 0 }
    installPlatform({
        ...nodePlatform,
        sha256,
        verifyP256: (publicKey, digest, signature) => {
            counted.verifications++
            const holds = verifyByNode(publicKey, digest, signature)
            if (twice && holds !== verifyP256(publicKey, digest, signature))
                throw new Error("core and node:crypto disagree")
            return holds
        },
    })
    return counted
}

/** What a command came to, in the names of the codes ("done" for none). */
export interface Reply {
    file: string
    requests: string[]
    role?: number
    counter?: number
    /** The signed answer. */
    answer?: Buffer
}

function nameOf(code: number): string {
    return code === 0 ? "done" : (Code[code] ?? `${code}`)
}

/** Reads a device's answer to a command of `count` requests. */
export function readReply(reply: Buffer, count: number): Reply {
    const codes: string[] = []
    const file = nameOf(reply.readUInt16BE(0))
    let at = 2
    // A file that was let in is followed by what its caller is: the header is no request of it.
    for (; at + 2 <= reply.length && codes.length < count; at += 2) codes.push(nameOf(reply.readUInt16BE(at)))
    if (file !== "done" || reply.length < at + 5) return { file, requests: codes }
    return {
        file,
        requests: codes,
        role: reply[at],
        counter: reply.readUInt32BE(at + 1),
        answer: reply.subarray(at + 5),
    }
}

/** Requests to a `CommandDevice`. */
export const ask = {
    hold: (parties: readonly TestParty[]) =>
        withLengths(
            0,
            parties.map(each => each.der),
        ),
    lists: (lists: readonly Buffer[]) => withLengths(1, lists),
    time: (seconds: number) => numbered(2, seconds),
    command: (file: Uint8Array) => Buffer.concat([Buffer.of(3), file]),
    relayed: (file: Uint8Array) => Buffer.concat([Buffer.of(4), file]),
    head: () => Buffer.of(5),
    entry: (number: number) => numbered(6, number),
    table: () => Buffer.of(7),
}

function numbered(kind: number, value: number): Buffer {
    const octets = Buffer.alloc(5)
    octets[0] = kind
    octets.writeUInt32BE(value, 1)
    return octets
}

function withLengths(kind: number, objects: readonly Buffer[]): Buffer {
    const lengths = objects.map(({ length }) => Buffer.of(length >> 8, length & 0xff))
    return Buffer.concat([Buffer.of(kind), ...objects.flatMap((each, i) => [lengths[i], each])])
}

/** A device over `store` whose answers are signed with the digest twice, as the program in the VM does it. */
export function commandDevice(store: Store, sign = (digest: Buffer) => Buffer.concat([digest, digest])): CommandDevice {
    return new CommandDevice(store, meterId, sign)
}
