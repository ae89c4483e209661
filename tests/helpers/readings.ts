import { createHash, sign } from "node:crypto"
import type { Evidence } from "../../tools/evidence/format.ts"
import { type Party, party, revocationList } from "./authority.ts"
import { absent, file, list, message, octets, signed, unsigned } from "./tlv.ts"

/** Signed readings by a second hand, for tests of the verifier and the head-end. */

export const serverId = "0a01504c420100000001"

/** Institute, calibration authority and one meter, as `plomb pki` lays them out. */
export interface World {
    root: Party
    authority: Party
    meter: Party
    crls: string[]
}

export function makeWorld(meterName = serverId): World {
    const root = party({ commonName: "Institute root", ca: true })
    const authority = party({ commonName: "Calibration authority", issuer: root, ca: true, pathLength: 0 })
    const meter = party({ commonName: meterName, issuer: authority })
    return { root, authority, meter, crls: [revocationList(root), revocationList(authority)] }
}

export interface ReadingFields {
    pagination?: number
    /** UTC seconds. */
    at?: number
    quality?: number
    drawn?: bigint
    fedIn?: bigint
    power?: number
    status?: number
    secondsIndex?: number
    keyProtection?: number
    previousHash?: string
    serverId?: string
    profile?: string
    /** The metrological module that runs: then the list is of PLOMB-SL/2. */
    module?: { name: string; checksum: Buffer }
    clientId?: string
    /** Replaces entries by index. */
    entries?: Record<number, Buffer>
}

/** 2026-11-22T14:00:00Z */
export const noon = Date.UTC(2026, 10, 22, 14, 0, 0) / 1000

function entry(
    obis: string,
    value: Buffer,
    unit: Buffer = absent,
    scaler: Buffer = absent,
    status: Buffer = absent,
): Buffer {
    return list(octets(obis), status, absent, unit, scaler, value, absent)
}

const energy = [unsigned(1, 30), signed(1, -1)] as const

/** The octets that a meter signs: serverId, listName, actSensorTime, valList. */
export function signedOctets(fields: ReadingFields): Buffer {
    const quality = fields.quality ?? 2
    const at = fields.at ?? noon
    const index = fields.secondsIndex ?? 86400
    const status = fields.status ?? 0x100
    const drawn = fields.drawn ?? 123456n
    const entries = [
        entry("8181c7f001ff", octets(Buffer.from(fields.profile ?? "PLOMB-SL/1"))),
        entry("8181c7f002ff", unsigned(4, fields.pagination ?? 1)),
        entry("810060080001", unsigned(4, index)),
        entry("8181c7f003ff", unsigned(1, quality)),
        entry("0100010800ff", unsigned(8, drawn), ...energy, unsigned(4, status)),
        entry("0100010801ff", unsigned(8, drawn), ...energy),
        entry("0100010802ff", unsigned(8, 0), ...energy),
        entry("0100020800ff", unsigned(8, fields.fedIn ?? 0n), ...energy),
        entry("0100100700ff", signed(4, fields.power ?? 2300), unsigned(1, 27), signed(1, -1)),
        entry("0100600500ff", unsigned(4, status)),
        entry("010000020000", octets(Buffer.from("plomb-meter 0.1.0"))),
        entry("0100605a0201", octets(createHash("sha256").update("image").digest())),
        entry("8181c7f004ff", unsigned(1, fields.keyProtection ?? 1)),
        entry("8181c7f005ff", octets(fields.previousHash ?? "00".repeat(32))),
    ]
    if (fields.module) {
        entries.splice(12, 0, entry("8181c7f006ff", octets(Buffer.from(fields.module.name))))
        entries.splice(13, 0, entry("8181c7f007ff", octets(fields.module.checksum)))
        entries.splice(7, 0, entry("0100010803ff", unsigned(8, 0), ...energy))
        entries.splice(8, 0, entry("0100010804ff", unsigned(8, 0), ...energy))
        entries[0] = entry("8181c7f001ff", octets(Buffer.from(fields.profile ?? "PLOMB-SL/2")))
    }
    for (const [i, replaced] of Object.entries(fields.entries ?? {})) entries[Number(i)] = replaced
    const time = list(unsigned(1, quality === 2 ? 2 : 1), unsigned(4, quality === 2 ? at : index))
    return Buffer.concat([octets(fields.serverId ?? serverId), octets("0100620affff"), time, list(...entries)])
}

/** The octets of a load profile row: serverId to period_List. */
export function profileOctets(fields: ReadingFields): Buffer {
    const at = fields.at ?? noon
    const row = (obis: string, value: Buffer, unit = 255, scaler = 0) =>
        list(octets(obis), unsigned(1, unit), signed(1, scaler), value, absent)
    const entries = [
        row("8181c7f001ff", octets(Buffer.from(fields.profile ?? "PLOMB-SP/1"))),
        row("8181c7f002ff", unsigned(4, fields.pagination ?? 1)),
        row("810060080001", unsigned(4, fields.secondsIndex ?? 86400)),
        row("8181c7f003ff", unsigned(1, fields.quality ?? 2)),
        row("0100010800ff", unsigned(8, fields.drawn ?? 123456n), 30, -1),
        row("0100020800ff", unsigned(8, fields.fedIn ?? 0n), 30, -1),
        row("8181c7f004ff", unsigned(1, fields.keyProtection ?? 1)),
        row("8181c7f005ff", octets(fields.previousHash ?? "00".repeat(32))),
    ]
    const stamp = list(unsigned(1, 2), unsigned(4, at))
    const path = list(octets("8181c78611ff"))
    return Buffer.concat([
        octets(fields.serverId ?? serverId),
        stamp,
        unsigned(4, 900),
        path,
        stamp,
        unsigned(8, fields.status ?? 0x100),
        list(...entries),
    ])
}

export const requestId = "0102030405"
export const transactionId = "aa01"

/** The head-end's request file that the readings answer. */
export function requestFile(asked = serverId): Buffer {
    return file(
        message("aa00", 0x0100, list(absent, octets("48"), octets(requestId), octets(asked), absent, absent, absent)),
        message(transactionId, 0x0700, list(octets("48"), octets(asked), absent, absent, octets("0100620affff"))),
        message("aa02", 0x0200, list(absent)),
    )
}

/** A response file around bodies of tag 0701 or 0401. */
export function responseFile(bodies: [tag: number, body: Buffer][], from = serverId, reqFileId = requestId): Buffer {
    return file(
        message("aa00", 0x0101, list(absent, octets("48"), octets(reqFileId), octets(from), absent, absent)),
        ...bodies.map(([tag, body]) => message(transactionId, tag, body)),
        message("aa02", 0x0201, list(absent)),
    )
}

/** A GetList.Res body around signed octets. */
export function listBody(covered: Buffer, signature: Buffer, clientId = "48"): Buffer {
    return Buffer.concat([Buffer.from([0x77]), octets(clientId), covered, octets(signature), absent])
}

/** A GetProfileList.Res body around signed octets. */
export function profileBody(covered: Buffer, signature: Buffer): Buffer {
    return Buffer.concat([Buffer.from([0x79]), covered, absent, octets(signature)])
}

export function signatureOf(world: World, covered: Buffer): Buffer {
    return sign("sha256", covered, { key: world.meter.privateKey, dsaEncoding: "ieee-p1363" })
}

export function evidenceOf(world: World, sml: Buffer, changes: Partial<Evidence> = {}): Evidence {
    return {
        sml,
        request: requestFile(),
        chain: [world.meter.pem, world.authority.pem, world.root.pem],
        crls: world.crls,
        receivedAt: "2026-11-22T14:00:03Z",
        source: { muc: "050011223344", headend: "test" },
        ...changes,
    }
}

/** A whole evidence file with one signed list. */
export function reading(world: World, fields: ReadingFields = {}, changes: Partial<Evidence> = {}): Evidence {
    const covered = signedOctets(fields)
    const sml = responseFile(
        [[0x0701, listBody(covered, signatureOf(world, covered), fields.clientId)]],
        fields.serverId,
    )
    return evidenceOf(world, sml, changes)
}

/** SHA-256 of a reading's signed octets, hex: the next reading's previous hash. */
export function hashOf(fields: ReadingFields): string {
    return createHash("sha256").update(signedOctets(fields)).digest("hex")
}
