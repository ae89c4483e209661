/**
 * The check of packages (firmware/overlays/packages.ts), part of the fixed image, does its work at its start:
 * - `octets(from, length)`: so much of the package, `length()` in all. `sha256(parts)` of an array of buffers, `verifyP256(publicKey, digest, signature)`, `hashChain(prefix, value, to)`: as in
 *   `Platform`; the chain is most of the work.
 * - `found(manifest, certificates)`: the host puts into `certificates` the identifier and the key of each signature there must be, in the
 *   order of `PackageSigner`.
 * - `refuse(code, at)`: ends the check with this error.
 */
export const packageCalls = [
    "octets:nn",
    "sha256:o",
    "verifyP256:bbb",
    "found:oo",
    "refuse:nn",
    "length:",
    "hashChain:bbn",
]
