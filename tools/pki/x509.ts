import "reflect-metadata"
import { createPublicKey, type KeyObject, webcrypto } from "node:crypto"
import * as x509 from "@peculiar/x509"

/** The X.509 library, with its polyfill loaded and its cryptography set: import it from here only. */
x509.cryptoProvider.set(webcrypto as Crypto)

export { x509 }

/** ECDSA with SHA-256 on P-256, the one algorithm of this PKI, as WebCrypto names it. */
export const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

/** A private key of node:crypto as WebCrypto wants it. */
export function signingKey(key: KeyObject): Promise<CryptoKey> {
    const pkcs8 = key.export({ type: "pkcs8", format: "der" })
    return webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]) as Promise<CryptoKey>
}

/** SubjectPublicKeyInfo of a private or public key. */
export function publicKeyOf(key: KeyObject): x509.PublicKey {
    const spki = (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" })
    return new x509.PublicKey(spki)
}
