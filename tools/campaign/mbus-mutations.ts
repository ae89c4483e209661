import { WMBUS_A } from "../../firmware/core/wmbus-frame"
import { mbus } from "../vectors/mbus.ts"
import { mbusRequest, readMbusDump } from "../vectors/mbus-dump.ts"
import {
    fixedFrame,
    linkEncrypted,
    meterKey,
    mode5,
    mode7,
    sampleRecords,
    wiredFrame,
    wirelessFrame,
} from "./mbus-seeds.ts"
import { changed, type Damage, type Random } from "./mutations.ts"

const telling = [
    0x00, 0x0d, 0x0f, 0x1f, 0x2f, 0x6c, 0x6d, 0x72, 0x7a, 0x7c, 0x7f, 0x80, 0x8c, 0x8d, 0x90, 0xfb, 0xfc, 0xfd, 0xff,
]

function payloadOf(random: Random): Buffer {
    const records = Array.from({ length: 1 + random(8) }, () => sampleRecords[random(sampleRecords.length)])
    let payload: Buffer = Buffer.from(records.join(""), "hex")
    for (let n = random(4); n > 0; --n) payload = changed(payload, random, telling)
    return payload.subarray(0, 180)
}

/** A damaged telegram; mostly with good checksums, keys and MACs, so that the damage reaches what lies behind them. */
function damaged(random: Random): Buffer {
    const payload = payloadOf(random)
    const key = [meterKey, undefined, Buffer.alloc(0), Buffer.alloc(16)][Math.max(0, random(8) - 4)]
    const harm = (octets: Buffer) => (random(3) === 0 ? changed(octets, random, telling) : octets)
    const kind = random(7)
    if (kind < 2)
        return mbusRequest(0, key, harm(kind === 0 ? wiredFrame(harm(payload).subarray(0, 200)) : fixedFrame()))
    const plain = Buffer.concat([Buffer.from("7a2a000000", "hex"), payload])
    const content = [
        plain,
        mode5(payload, random(256)),
        mode7(payload, random(1e9)),
        linkEncrypted(payload, random(1e8)),
    ][kind % 4]
    const format = random(3)
    const fit = harm(content).subarray(0, format === WMBUS_A ? 245 : 230)
    return mbusRequest(1 + format, key, harm(wirelessFrame(fit, format)))
}

/** A stream of telegrams with noise between, for a receiver. */
function stream(random: Random): Buffer {
    const format = random(4)
    const parts = Array.from({ length: 1 + random(4) }, () => {
        const frame =
            format === 0 ? wiredFrame(payloadOf(random)) : wirelessFrame(mode5(payloadOf(random), 1), format - 1)
        return random(2) === 0 ? changed(frame, random, telling) : frame
    })
    return mbusRequest(4 + format, undefined, Buffer.concat([Buffer.of(1 + random(90)), ...parts]))
}

export const damage: Damage = {
    format: mbus,
    request: random => (random(10) === 0 ? stream(random) : damaged(random)),
    name: request => (request[0] > 3 ? "stream" : "opened"),
    wrong(reply, request) {
        if (request[0] > 3) return undefined
        const { octets, at, end, records } = readMbusDump(reply)
        const inside = records.every(
            each =>
                each.start <= each.end &&
                each.dataAt + each.length <= each.end &&
                each.end <= end &&
                each.textAt + each.textLength <= end,
        )
        return inside && at <= end && end <= octets.length ? undefined : "places outside of the telegram"
    },
    stepsBound: octets => 40_000 + 1500 * octets,
}
