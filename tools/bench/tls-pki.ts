import { createPrivateKey } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { initPki } from "../pki/init.ts"
import { issueWithKey } from "../pki/issue.ts"
import { pem, readPem } from "../pki/pem.ts"

/** One party as programs and as our own code take it. */
export interface BenchParty {
    /** Files: private key, chain without the root, and the same without the leaf. */
    keyFile: string
    chainFile: string
    issuersFile: string
    /** 32 octets. */
    key: Buffer
    /** DER, leaf first, without the root. */
    chain: Buffer[]
}

/** A PKI for the bench: an operator reached as localhost, and a MUC. */
export interface BenchPki {
    folder: string
    server: BenchParty
    client: BenchParty
    rootFile: string
    root: Buffer
    /** Revocation lists of all issuers. */
    crls: Buffer[]
    remove(): void
}

/** Octets of the one object in this file. */
function der(file: string): Buffer {
    return Buffer.from(readPem(readFileSync(file, "utf8"))[0].der)
}

function partyOf(folder: string, name: string): BenchParty {
    const keyFile = join(folder, "key.pem")
    const { d } = createPrivateKey(readFileSync(keyFile)).export({ format: "jwk" })
    const chain = readPem(readFileSync(join(folder, "chain.pem"), "utf8"))
        .slice(0, -1)
        .map(each => Buffer.from(each.der))
    const chainFile = join(folder, `${name}-chain.pem`)
    const issuersFile = join(folder, `${name}-issuers.pem`)
    const text = (ders: Buffer[]) => ders.map(each => pem("CERTIFICATE", each)).join("")
    writeFileSync(chainFile, text(chain))
    writeFileSync(issuersFile, text(chain.slice(1)))
    return { keyFile, chainFile, issuersFile, key: Buffer.from(d!, "base64url"), chain }
}

/** Makes one in a temporary folder. */
export async function openBenchPki(): Promise<BenchPki> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-bench-"))
    const pki = join(folder, "pki")
    await initPki(pki)
    const muc = await issueWithKey(pki, "muc", "05504c42000001")
    const rootFile = join(pki, "ca-root", "cert.pem")
    return {
        folder,
        server: partyOf(join(pki, "operator"), "server"),
        client: partyOf(muc.folder, "client"),
        rootFile,
        root: der(rootFile),
        crls: ["ca-root", "manufacturer", "security-management"].map(each => der(join(pki, each, "crl.pem"))),
        remove: () => rmSync(folder, { recursive: true, force: true }),
    }
}
