import { Fn } from "../core/access"
import type { Caller } from "../core/command"
import { CRC_BAD } from "../core/crc16"
import { Code, fail } from "../core/errors"
import { cut, join, numberBE, sameOctets, uintBE } from "../core/octets"
import { signedListRes } from "../core/signed-list"
import { answerFile } from "../core/sml-answer"
import { Attention } from "../core/sml-attention"
import { attentionRes, readRequest, type SmlRequest } from "../core/sml-messages"
import { branch, childName, octetsLeaf } from "../core/sml-parameter"
import { readFile } from "../core/sml-read"
import { GET_LIST_REQ, OPEN_REQ } from "../core/sml-tables"
import { Answering } from "./answering"
import { mostAddress } from "./field-meters"
import type { FieldSide } from "./field-side"
import { mostFieldMeters } from "./layout"
import { takeBroughtList } from "./proof"

/** Meters told of in one answer. */
const mostTold = 16

/** As of `Answering.rows`: what this image has room for. The rest is done with `muc_install` on the board, or `muc`. */
const rows = hex`
    8201 FE FF 00 // identification
    F010 FE FF 00 // its certificates
    F020 FE FF 00 // inventory
    F021 FF FE 00 // revocation lists
    F052 0A FF 00 // logbook
    F060 08 FF 00 // attestation
    F070 00 09 17 // meters of the field buses
`

/** The functions of a MUC with field buses: what every MUC tells, its signed lists of telegrams, and its meters. */
export class FieldFunctions extends Answering {
    side: FieldSide | undefined
    lines = 0

    /** It is asked for lists of its own; meters behind it sign none. */
    count(): number {
        return 1
    }

    idAt(_index: number): Buffer {
        return this.identity.serverId
    }

    route(raw: Buffer): Buffer | undefined {
        const file = readFile(raw, false, CRC_BAD)
        if (file.messages[0].tag !== OPEN_REQ) return undefined
        const target = readRequest(file.messages[0]).serverId
        if (target.length === 0 || sameOctets(target, this.identity.serverId)) {
            const self = this
            const side = this.side
            return side ? side.lists.alone(() => self.answer(file)) : this.answer(file)
        }
        return answerFile(file, target, (request, responses) => {
            responses.push(attentionRes(request.transactionId, target, Attention.ServerNotReachable, "not here"))
        })
    }

    protected override rows(): Buffer {
        return rows
    }

    protected override list(caller: Caller | undefined, request: SmlRequest): Buffer | undefined {
        const side = this.side
        if (!side) return undefined
        const id = this.identity.serverId
        if (request.tag === GET_LIST_REQ) {
            this.demand(caller, Fn.readCurrent)
            const name = request.listName
            // 81 81 C7 F0 02 FF and a number: one that was made before.
            const list = side.lists.list(name.length === 10 ? uintBE(name, 6, 4) : side.lists.newest)
            return list
                ? signedListRes(request.transactionId, request.clientId, list[1], list[0])
                : attentionRes(request.transactionId, id, Attention.NothingInRange, "")
        }
        return undefined
    }

    /** What was counted, then the meters from a number on. */
    protected override read(_which: number, name: Buffer, path: Buffer[]): any[] {
        const side = this.side
        if (!side) return [name, undefined, undefined]
        const counted = [numberBE(4, side.taken), numberBE(4, side.lists.newest)]
        for (let i = 0; i < side.counts.length; ++i) counted.push(numberBE(4, side.counts[i]))
        for (let line = 0; line < this.lines; ++line) counted.push(numberBE(4, side.busyMs[line]))
        const children: any[] = [octetsLeaf(childName(name, 1), join(counted))]
        const plan = side.meters.plan
        let meter = path.length > 1 ? uintBE(path[1], path[1].length - 4, 4) : 0
        for (; meter < mostFieldMeters && children.length <= mostTold; ++meter) {
            const line = plan.busOf(meter)
            if (line === 0xff) continue
            const state = Buffer.alloc(11)
            state[0] = meter
            state[1] = line
            state[2] = side.meters.entry(meter)[0]
            state[3] = plan.failing(meter)
            state.blitAt(4, numberBE(2, side.problem(meter)), 0, 2)
            state.blitAt(6, numberBE(4, plan.lastRead(meter)), 0, 4)
            const address = side.meters.address(meter)
            state[10] = address.length
            children.push(octetsLeaf(childName(name, children.length + 1), join([state, address])))
        }
        return branch(name, children)
    }

    /** Line U8: it is searched for meters; or line U8, primary address U8, minutes U16 (0 = read no more), address. */
    protected override set(caller: Caller | undefined, which: number, fn: number, event: number, value: Buffer): void {
        const side = this.side
        // Lists prove themselves; there is no directory.
        if (which === 0x21) {
            takeBroughtList(this.store, this.holdings, value, this.clock.nowSeconds())
            return
        }
        if (!side) return
        const length = value.length
        const line = uintBE(value, 0, 1)
        if (line >= this.lines || length > 4 + mostAddress || (length > 1 && length < 4))
            fail(Code.BadArgument, -1, "a line and a meter", length + " octets")
        this.logbook.append(event, fn, caller, 0, cut(value, 0, Math.min(length, 16)))
        if (length === 1) {
            side.searches |= 1 << line
            return
        }
        const minutes = uintBE(value, 2, 2)
        const address = cut(value, 4, length - 4)
        const meter = side.meters.find(line, address)
        if (minutes > 0) {
            if (side.meters.set(line, value[1], address, Math.min(minutes, 10080), side.now()) < 0)
                fail(Code.TooManyMeters, -1, "at most " + mostFieldMeters + " meters", "one more")
        } else if (meter >= 0) side.meters.plan.remove(meter)
    }
}
