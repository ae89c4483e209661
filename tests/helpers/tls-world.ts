import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import type { TlsSettings } from "../../tools/tls/settings.ts"

/** A PKI in a folder of its own, and what its parties need for TLS. */
export class TlsWorld {
    private constructor(readonly folder: string) {}

    static async make(): Promise<TlsWorld> {
        const folder = join(mkdtempSync(join(tmpdir(), "plomb-tls-")), "pki")
        await initPki(folder)
        return new TlsWorld(folder)
    }

    /** A party that `init` made, or the folder of one that was issued. */
    party(folder: string): TlsSettings {
        const read = (...words: string[]) => readFileSync(join(this.folder, ...words), "utf8")
        return {
            key: read(folder, "key.pem"),
            chain: read(folder, "chain.pem"),
            ca: read("ca-root", "cert.pem"),
            crls: () => ["ca-root", "manufacturer", "security-management"].map(each => read(each, "crl.pem")),
        }
    }

    /** The same as files, as words of a command. */
    words(folder: string): string[] {
        const at = (...words: string[]) => join(this.folder, ...words)
        const lists = ["ca-root", "manufacturer", "security-management"].flatMap(each => ["--crl", at(each, "crl.pem")])
        const own = ["--key", at(folder, "key.pem"), "--chain", at(folder, "chain.pem")]
        return [...own, "--ca", at("ca-root", "cert.pem"), ...lists]
    }

    /** Issues a device or operator; the answer is its folder within the PKI. */
    async issue(role: string, name: string, hosts?: string[]): Promise<string> {
        const { folder } = await issueWithKey(this.folder, role, name, { hosts })
        return folder.slice(this.folder.length + 1)
    }

    async revoke(folder: string): Promise<void> {
        await revoke(this.folder, join(this.folder, folder, "cert.pem"), "keyCompromise")
    }

    remove(): void {
        rmSync(join(this.folder, ".."), { recursive: true })
    }
}
