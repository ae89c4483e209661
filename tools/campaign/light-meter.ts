import { createHash, type KeyObject, sign } from "node:crypto"
import { SignedListFields, signedListRes, TIME_TRUSTED, writeSignedList } from "../../firmware/core/signed-list.ts"
import { issueMeterCertificate } from "../pki/issue.ts"
import { newKey } from "../pki/keys.ts"
import { publicKeyOf, signingKey, x509 } from "../pki/x509.ts"

/** Lists a meter keeps, to be asked for again. */
const ring = 32

/** A meter without board and line: real signed lists from a real certificate, as many a second as are wanted. */
export class LightMeter {
    pagination = 0
    /** SHA-256 of the signed octets by pagination, hex: all that was ever signed. */
    readonly signed = new Map<number, string>()
    private readonly kept = new Map<number, { octets: Buffer; signature: Buffer }>()
    private previous = Buffer.alloc(32)
    private readonly id: Buffer

    /** Signs with `key`, whatever its chain says. */
    constructor(
        /** Hex. */
        readonly serverId: string,
        private readonly key: KeyObject,
        /** DER, own first. */
        readonly chain: Buffer[],
    ) {
        this.id = Buffer.from(serverId, "hex")
    }

    /** A meter certified by the calibration authority of the PKI in `folder`. */
    static async make(folder: string, serverId: string): Promise<LightMeter> {
        const { key } = newKey()
        const request = await x509.Pkcs10CertificateRequestGenerator.create({
            name: [{ CN: [serverId] }],
            keys: { publicKey: await publicKeyOf(key).export(), privateKey: await signingKey(key) },
            signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        })
        const { chain } = await issueMeterCertificate(folder, new Uint8Array(request.rawData), serverId)
        return new LightMeter(serverId, key, chain)
    }

    /** A list made now, or a kept one; undefined where it is not kept. The message of the response. */
    list(transactionId: Buffer, pagination?: number): Buffer | undefined {
        const made = pagination === undefined ? this.make() : this.kept.get(pagination)
        return made && signedListRes(transactionId, undefined, made.octets, made.signature)
    }

    /** Signature of these octets, r|s. */
    sign(octets: Uint8Array): Buffer {
        return sign("sha256", octets, { key: this.key, dsaEncoding: "ieee-p1363" })
    }

    private make(): { octets: Buffer; signature: Buffer } {
        const fields = new SignedListFields()
        const seconds = Math.floor(Date.now() / 1000)
        Object.assign(fields, {
            serverId: this.id,
            pagination: ++this.pagination,
            secondsIndex: seconds & 0x7fffffff,
            timeQuality: TIME_TRUSTED,
            seconds,
            drawn: 1000 + this.pagination,
            drawn1: 1000 + this.pagination,
            software: Buffer.from("plomb-light 0"),
            checksum: Buffer.alloc(32, 0x5a),
            module: Buffer.from("light 0"),
            moduleChecksum: Buffer.alloc(32, 0xa5),
            previous: this.previous,
        })
        const octets = writeSignedList(fields)
        const signature = this.sign(octets)
        const made = { octets, signature }
        this.previous = createHash("sha256").update(octets).digest()
        this.signed.set(this.pagination, this.previous.toString("hex"))
        this.kept.set(this.pagination, made)
        this.kept.delete(this.pagination - ring)
        return made
    }
}
