import { CRC_BAD } from "../core/crc16"
import { laterNumber } from "../core/crl"
import { Code, fail, PlombError } from "../core/errors"
import { Held, type HeldItem, HeldState, readItem } from "../core/inventory"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { Attention } from "../core/sml-attention"
import { closeReq, openReq, setProcParameterReq } from "../core/sml-messages"
import { certificatesPath, inventoryPath, octetsLeaf } from "../core/sml-parameter"
import { readFile, type SmlMessage } from "../core/sml-read"
import { parameterRequest } from "../core/sml-request"
import { ATTENTION_RES, GET_PROC_PARAMETER_RES } from "../core/sml-tables"
import { writeFile } from "../core/sml-transport"
import { childrenAt, octetsAt, treeOctets } from "../core/sml-values"
import type { Certificate } from "../core/x509"
import type { HeldCrl } from "./crl-store"
import type { Holdings } from "./holdings"
import { TrustSlot } from "./layout"
import type { LineMaster } from "./master"
import type { MeterList } from "./meters"

/** Longest file a meter takes, and the octets of a part that usually make one. */
const longestFile = 1024
const partSize = 700
/** Longest list a meter keeps (firmware/meter/README.md). */
const longestList = 1018

/** After a failure the next try comes in a minute, then in twice the time, up to an hour. */
const shortestPauseMs = 60000
const longestPauseMs = 3600000
/** A meter that has all is asked again in a day: it may have been replaced, or have lost something. */
const dayMs = 86400000

/** Orders to the meter. */
const takeCertificate = 1
const takeList = 2

/** How a meter stands, in memory only: what it holds it says itself. */
interface Standing {
    /** `Holdings.version` that it was brought up to. */
    version: number
    nextAt: number
    pauseMs: number
}

/** Brings the provider's certificate and revocation lists to the meters of the line: asks each what it holds, and sends what it lacks. */
export class Delivery {
    private standings: Standing[] = []
    private moved = 0

    constructor(
        private readonly holdings: Holdings,
        private readonly master: LineMaster,
        private readonly meters: MeterList,
    ) {}

    /** Serves each meter whose time has come. Never throws a `PlombError`. */
    round(): void {
        if (this.moved !== this.meters.moved) {
            this.moved = this.meters.moved
            this.standings = []
        }
        for (let i = 0; i < this.meters.count(); ++i) {
            if (i === this.standings.length) this.standings.push({ version: 0, nextAt: 0, pauseMs: shortestPauseMs })
            const standing = this.standings[i]
            const version = this.holdings.version
            const now = platform().millis()
            if (standing.version > 0 && standing.version !== version) {
                standing.version = 0
                standing.nextAt = 0
            }
            if (now < standing.nextAt) continue
            const id = this.meters.idAt(i)
            try {
                const complete = this.serve(id)
                standing.version = version
                standing.pauseMs = shortestPauseMs
                standing.nextAt = now + (complete ? dayMs : shortestPauseMs)
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                console.log("delivery to " + id.toString("hex") + " " + e.message)
                standing.nextAt = now + standing.pauseMs
                standing.pauseMs = Math.min(longestPauseMs, standing.pauseMs * 2)
            }
        }
    }

    /** Brings one meter what it lacks; false while there is no provider to tell it of. */
    private serve(id: Buffer): boolean {
        const holdings = this.holdings
        const root = holdings.certificate(TrustSlot.CaRoot)
        const provider = holdings.inForce(TrustSlot.SecurityManagement)
        if (!root) return false
        const items = this.inventory(id)
        const list = holdings.lists.of(root.subjectKeyId)
        // The CA's list goes first: a certificate it names must not be taken.
        if (list && lacks(items, list)) this.bringList(id, list, root)
        if (!provider) return false
        const held = items.filter(item => item.kind === Held.SecurityManagement)
        const none = held.length === 0 || held[0].state === HeldState.Revoked
        if (none) {
            this.bring(id, takeCertificate, provider.der, root.der)
            console.log("delivery to " + id.toString("hex") + " CERT_SM")
        } else if (!sameOctets(held[0].fingerprint, platform().sha256([provider.der]))) return true
        const own = holdings.lists.of(provider.subjectKeyId)
        if (own && lacks(items, own)) this.bringList(id, own, undefined)
        return true
    }

    private bringList(id: Buffer, list: HeldCrl, issuer: Certificate | undefined): void {
        if (list.length > longestList)
            fail(Code.CrlTooLong, -1, longestList + " octets, what a meter keeps", "" + list.length)
        this.bring(id, takeList, this.holdings.lists.der(list), issuer ? issuer.der : Buffer.alloc(0))
        console.log("delivery to " + id.toString("hex") + " list " + list.number.toString("hex"))
    }

    /** Sends the parts of `object` and its issuer's certificate, then the order. */
    private bring(id: Buffer, order: number, object: Buffer, issuer: Buffer): void {
        const whole = join([object, issuer])
        let at = 0
        while (at < whole.length) {
            let count = Math.min(partSize, whole.length - at)
            // Runs of 1B are doubled on the line: a part full of them is halved until it fits.
            while (!this.order(id, join([words(0, at), cut(whole, at, count)]))) count = count >> 1
            at += count
        }
        this.order(id, join([words(order, object.length), cut(words(0, issuer.length), 1, 2)]))
    }

    /** Gives an order; false where its file is too long. Throws `MeterRefused` unless the meter says that it is done. */
    private order(id: Buffer, order: Buffer): boolean {
        const requestId = platform().randomOctets(4)
        const request = writeFile([
            openReq(requestId, requestId, requestId, id),
            setProcParameterReq(requestId, id, [certificatesPath], octetsLeaf(certificatesPath, order)),
            closeReq(requestId, undefined),
        ])
        if (request.length > longestFile) return false
        const answer = this.answer(id, requestId, request, ATTENTION_RES)
        const octets = answer.octets
        const number = octetsAt(octets, answer.fields[1])
        if (number.length !== 6 || number[4] * 256 + number[5] !== Attention.Done)
            fail(
                Code.MeterRefused,
                -1,
                "done",
                number.toString("hex") + " " + octetsAt(octets, answer.fields[2]).toString("hex"),
            )
        return true
    }

    private inventory(id: Buffer): HeldItem[] {
        const requestId = platform().randomOctets(4)
        const request = parameterRequest(requestId, id, inventoryPath)
        const answer = this.answer(id, requestId, request, GET_PROC_PARAMETER_RES)
        const octets = answer.octets
        const items: HeldItem[] = []
        const children = childrenAt(octets, childrenAt(octets, answer.fields[2])[2])
        for (let i = 0; i < children.length; ++i) items.push(readItem(treeOctets(octets, children[i])))
        return items
    }

    /** The one message of the answer to a request, which must be of this kind. */
    private answer(id: Buffer, requestId: Buffer, request: Buffer, tag: number): SmlMessage {
        const messages = readFile(this.master.exchange(id, requestId, request), false, CRC_BAD).messages
        if (messages.length !== 3 || messages[1].tag !== tag)
            fail(Code.MeterRefused, -1, "message " + tag, messages.length > 1 ? "" + messages[1].tag : "none")
        return messages[1]
    }
}

/** An octet and a number of 16 bits, high octet first. */
function words(first: number, number: number): Buffer {
    return Buffer.from([first, number >> 8, number & 0xff])
}

/** Does a meter that holds `items` lack this list, or hold an older one? */
function lacks(items: HeldItem[], list: HeldCrl): boolean {
    for (let i = 0; i < items.length; ++i)
        if (items[i].kind === Held.RevocationList && sameOctets(items[i].issuerKeyId, list.keyId))
            return laterNumber(list.number, items[i].number)
    return true
}
