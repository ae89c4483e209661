import {
    createCipheriv,
    createPrivateKey,
    generateKeyPairSync,
    type KeyObject,
    pbkdf2Sync,
    randomBytes,
} from "node:crypto"
import { PkiError, readText } from "./files.ts"
import { pem } from "./pem.ts"

/** Rounds of PBKDF2-HMAC-SHA-256 that a guess at the passphrase costs. */
const iterations = 600_000

/** A new P-256 key and its file: PKCS#8 PEM, encrypted by PBES2 (RFC 8018 6.2) where a passphrase is given. */
export function newKey(passphrase?: string): { key: KeyObject; file: string } {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" })
    return {
        key: privateKey,
        file:
            passphrase === undefined
                ? pem("PRIVATE KEY", pkcs8)
                : pem("ENCRYPTED PRIVATE KEY", encrypt(pkcs8, passphrase)),
    }
}

/** The key of a file, with a plain reason where it does not open. */
export function openKey(path: string, passphrase?: string): KeyObject {
    const text = readText(path)
    if (text.includes("ENCRYPTED PRIVATE KEY") && passphrase === undefined)
        throw new PkiError(`${path} is encrypted: give --passphrase-file or --passphrase-env`)
    let key: KeyObject
    try {
        key = createPrivateKey({ key: text, format: "pem", passphrase })
    } catch {
        throw new PkiError(
            `${path} does not open: ${passphrase === undefined ? "not a PKCS#8 key" : "wrong passphrase"}`,
        )
    }
    if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new PkiError(`${path} is not a P-256 key`)
    return key
}

let derived: { passphrase: string; salt: Buffer; secret: Buffer } | undefined

/** The key of a passphrase. All keys that one process makes under it share the salt: each derivation takes long. */
function derive(passphrase: string): { salt: Buffer; secret: Buffer } {
    if (derived?.passphrase !== passphrase) {
        const salt = randomBytes(16)
        derived = { passphrase, salt, secret: pbkdf2Sync(passphrase, salt, iterations, 32, "sha256") }
    }
    return derived
}

/** EncryptedPrivateKeyInfo: PBKDF2 with HMAC-SHA-256, AES-256-CBC. */
function encrypt(pkcs8: Buffer, passphrase: string): Buffer {
    const { salt, secret } = derive(passphrase)
    const iv = randomBytes(16)
    const cipher = createCipheriv("aes-256-cbc", secret, iv)
    const rounds = Buffer.alloc(4)
    rounds.writeUInt32BE(iterations)
    const kdf = der(
        0x30,
        oid("2a864886f70d01050c"),
        der(
            0x30,
            der(0x04, salt),
            der(0x02, rounds.subarray(rounds.findIndex(octet => octet > 0))),
            der(0x30, oid("2a864886f70d0209"), der(0x05)),
        ),
    )
    const scheme = der(0x30, oid("60864801650304012a"), der(0x04, iv))
    const algorithm = der(0x30, oid("2a864886f70d01050d"), der(0x30, kdf, scheme))
    return der(0x30, algorithm, der(0x04, cipher.update(pkcs8), cipher.final()))
}

function oid(content: string): Buffer {
    return der(0x06, Buffer.from(content, "hex"))
}

function der(tag: number, ...parts: Buffer[]): Buffer {
    const content = Buffer.concat(parts)
    const size =
        content.length < 128
            ? [content.length]
            : content.length < 256
              ? [0x81, content.length]
              : [0x82, content.length >> 8, content.length & 0xff]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
}
