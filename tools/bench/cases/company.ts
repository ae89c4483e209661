import { createHash, X509Certificate } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Code } from "../../../firmware/core/errors.ts"
import { certificatesPath } from "../../../firmware/core/sml-parameter.ts"
import { Brought, bringValues, partValues } from "../../authority/bring.ts"
import { Signer } from "../../authority/signer.ts"
import type { PkiOptions } from "../../pki/init.ts"
import { issueWithKey } from "../../pki/issue.ts"
import { openKey } from "../../pki/keys.ts"
import { readPem } from "../../pki/pem.ts"
import { revoke } from "../../pki/revoke.ts"
import { type Came, readCame } from "./answer.ts"
import { type Request, set, unsigned, word } from "./requests.ts"

/** A device that is commanded: how it is addressed, and what proves its answers. */
export interface Addressee {
    name: "meter" | "MUC"
    id: Buffer
    /** DER. */
    certificate: Buffer
}

/** Somebody who signs commands. */
export interface Person {
    /** As the tables call it. */
    name: string
    /** Folder in the PKI. */
    path: string
    signer: Signer
}

/** How a command differs from an ordinary one. */
export interface Manner {
    /** The counter, instead of the next one. */
    counter?: number
    /** Seconds from the devices' time from which and to which it holds. */
    from?: number
    to?: number
    /** Name the certificate only. */
    brief?: boolean
    /** Certificates put in, DER, instead of the signer's; the header names the first. */
    certificates?: Buffer[]
    /** The certificate that the header names instead. */
    named?: Buffer
    /** Server id that the command is for, while it is sent to the component. */
    target?: Buffer
}

/** What a command file is made of, but for its signature. */
export interface Draft {
    target: Buffer
    header: Buffer
    messages: Buffer[]
    /** Transaction and file id. */
    id: Buffer
}

/** Times that a command is given until somebody answers. */
const mostTries = 12

/** People of a PKI who command devices, wherever those are. */
export abstract class Company {
    private readonly counters = new Map<string, number>()

    /** `pki`: folder of `plomb pki`. */
    constructor(readonly pki: string) {}

    /** The meter that all is about. */
    abstract get meter(): Addressee

    /** The moment at which PKI tools do what they do: neither the devices' future nor ours. */
    abstract now(): Date

    /** UTC seconds of the devices. */
    abstract seconds(): number

    /** Puts a file on the way and answers what comes back. */
    abstract send(file: Buffer): Promise<Buffer | undefined>

    /** Somebody of the PKI by the folder, "security-management" or "operators/alice". */
    person(path: string, name = path.split("/").pop()!.replace(/-/g, " "), pki = this.pki): Person {
        const signer = new Signer({
            key: openKey(join(pki, path, "key.pem")),
            chain: readFileSync(join(pki, path, "chain.pem"), "utf8"),
        })
        return { name, path, signer }
    }

    /** Certifies one more person ("energy-provider", …), and answers that person. */
    async certify(role: string, name: string, options: PkiOptions = {}, pki = this.pki): Promise<Person> {
        const { folder } = await issueWithKey(pki, role, name, { now: this.now(), ...options })
        return this.person(folder.slice(pki.length + 1), name, pki)
    }

    /** DER of the certificate of a party. */
    der(...path: string[]): Buffer {
        return readPem(readFileSync(join(this.pki, ...path, "cert.pem"), "utf8"))[0].der
    }

    /** The counter that somebody's key had come to before this stage: the calibration authority has asked the meter what it runs. */
    spent(by: Person): number {
        const path = join(this.pki, by.path, "command-counter.json")
        return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).last : 0
    }

    /** A command that is not signed yet; its counter is taken. */
    draft(by: Person, to: Addressee, requests: Request[], manner: Manner = {}): Draft {
        const target = manner.target ?? to.id
        const last = this.counters.get(by.signer.id) ?? this.spent(by)
        const counter = manner.counter ?? last + 1
        this.counters.set(by.signer.id, Math.max(last, counter))
        const certificates = manner.certificates ?? [by.signer.certificate, ...this.between(by)]
        const header = Buffer.concat([
            Buffer.of(1),
            word(counter),
            word(this.seconds() + (manner.from ?? -300)),
            word(this.seconds() + (manner.to ?? 900)),
            sha256(manner.named ?? certificates[0]),
            ...(manner.brief ? [] : certificates),
        ])
        return { target, header, messages: requests.map(request => request(target)), id: Buffer.from("bench") }
    }

    /** A signed command file. */
    write(by: Person, to: Addressee, requests: Request[], manner: Manner = {}): Buffer {
        const { target, header, messages, id } = this.draft(by, to, requests, manner)
        return by.signer.seal(target, header, messages, id)
    }

    /**
     * A signed command, and what came of it. Where nobody answers, or a line has repeated the command, it is given anew, as a head-end
     * does: requests and answers get lost, most of all when a meter has just started. So it is where a meter is busy. Not with a `counter` of its own.
     */
    async tell(by: Person, to: Addressee, requests: Request[], manner: Manner = {}): Promise<Came> {
        for (let tries = 1; ; ++tries) {
            const came = await this.show(this.write(by, to, requests, manner), to)
            const again = !came.raw || came.code === Code.CommandReplayed || came.code === Code.Busy
            if (!again || manner.counter !== undefined || tries === mostTries) return came
        }
    }

    /** The same of nobody. */
    ask(to: Addressee, requests: Request[]): Promise<Came> {
        return this.show(unsigned(to.id, requests), to)
    }

    /** Any file, as it is. */
    async show(file: Buffer, to: Addressee): Promise<Came> {
        return readCame(file, await this.send(file), to.certificate)
    }

    /**
     * Brings a certificate, or a revocation list, in parts, with its issuer's certificate behind it unless that is held. Without an `order` the
     * parts lie there for the command that names them.
     */
    async bring(
        to: Addressee,
        object: Buffer,
        issuer: Buffer = Buffer.alloc(0),
        order?: "certificate" | "list",
    ): Promise<Came> {
        const kind = order === "certificate" ? Brought.provider : Brought.list
        const parts = order ? bringValues(kind, object, issuer) : partValues(Buffer.concat([object, issuer]))
        let came: Came | undefined
        for (const part of parts) {
            came = await this.ask(to, [set(certificatesPath, part)])
            if (came.code !== 0) return came
        }
        return came!
    }

    /** Revokes somebody, and brings the list of the issuer to the component. */
    async revoke(by: Person, to: Addressee): Promise<Came> {
        const { issuer } = await revoke(this.pki, join(this.pki, by.path, "cert.pem"), "keyCompromise", {
            now: this.now(),
        })
        return this.bringList(to, issuer)
    }

    /** Brings the newest list of an issuer to a meter. */
    async bringList(to: Addressee, issuer: string): Promise<Came> {
        return this.bring(to, this.list(issuer), issuer === "ca-root" ? this.der("ca-root") : undefined, "list")
    }

    /** DER of the newest list of an issuer. */
    list(issuer: string): Buffer {
        return readPem(readFileSync(join(this.pki, issuer, "crl.pem"), "utf8"))[0].der
    }

    /** The certificate above the signer's that a MUC does not hold. */
    private between({ path, signer }: Person): Buffer[] {
        if (path === "calibration-authority") return []
        const above = this.der("calibration-authority")
        return new X509Certificate(signer.certificate).checkIssued(new X509Certificate(above)) ? [above] : []
    }
}

/** SHA-256. */
export function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}
