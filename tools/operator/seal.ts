import { createCipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from "node:crypto"

const spkiHead = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex")
const info = "plomb sealed key"

/**
 * Seals a symmetric key for the MUC `serverId` that made the public key `theirs` (X|Y) for this exchange: our public key, then
 * {kind U8, id length U8, id, key} under ChaCha20-Poly1305 with key and nonce from HKDF-SHA-256 of the agreed X, salt both public keys.
 */
export function sealKey(theirs: Buffer, serverId: Buffer, kind: number, id: Buffer, key: Buffer): Buffer {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const ours = publicKey.export({ type: "spki", format: "der" }).subarray(-64)
    const peer = createPublicKey({ key: Buffer.concat([spkiHead, theirs]), type: "spki", format: "der" })
    const agreed = diffieHellman({ privateKey, publicKey: peer })
    const okm = Buffer.from(hkdfSync("sha256", agreed, Buffer.concat([theirs, ours]), info, 44))
    const cipher = createCipheriv("chacha20-poly1305", okm.subarray(0, 32), okm.subarray(32), { authTagLength: 16 })
    const content = Buffer.concat([Buffer.of(kind, id.length), id, key])
    cipher.setAAD(serverId, { plaintextLength: content.length })
    const sealed = Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()])
    return Buffer.concat([ours, sealed])
}
