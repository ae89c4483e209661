import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { JDBus } from "jacdac-ts"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { callOver, RefusedError } from "../../tools/calibrate/link.ts"
import { type MucUnderInstallation, mucTarget, step } from "../../tools/commission/muc.ts"
import { kind, passwordVerifier, type Secret } from "../../tools/commission/secrets.ts"
import { commissionMuc, type Installation, mucCertifierOf } from "../../tools/commission/station.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"

let folder: string
let pki: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-installation-"))
    pki = join(folder, "pki")
    await initPki(pki)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function job(muc: MucUnderInstallation, from = pki, installation?: Installation) {
    return {
        muc,
        hardware: "plomb-muc-1",
        certifier: mucCertifierOf(from),
        installation: installation && (() => installation),
        now: () => new Date(),
        onStep: () => {},
        remember: () => {},
    }
}

/** A MUC of this serial number with power, for `use`. */
async function withMuc(
    serial: number,
    use: (muc: MucUnderInstallation, desk: Desk, bus: JDBus) => Promise<void>,
): Promise<void> {
    const desk = await Desk.open({ serials: [] })
    try {
        await desk.startInstallation(serial)
        const { bus, muc } = await desk.installationLink()
        await use(muc, desk, bus).finally(() => bus.dispose())
    } finally {
        await desk.close()
    }
}

it("refuses certificates for another key and of another PKI, and takes the right one afterwards", async () => {
    const foreign = join(folder, "foreign")
    await initPki(foreign)
    await withMuc(21, async muc => {
        const right = mucCertifierOf(pki)
        const other = await issueWithKey(pki, "muc", "05000000000001")
        const pem = `-----BEGIN CERTIFICATE-----\n${other.certificate.toString("base64")}\n-----END CERTIFICATE-----\n`
        const attempt = (certify: () => Promise<string>) =>
            commissionMuc({ ...job(muc), certifier: { ...right, certify } }).catch(error => error)
        const wrongKey = await attempt(async () => pem)
        expect(wrongKey).toBeInstanceOf(RefusedError)
        expect(wrongKey.code).toBe(Code.CertificateForOtherKey)
        const { serverId } = await muc.identify()
        const request = await muc.makeKey()
        const wrongPki = await attempt(() => mucCertifierOf(foreign).certify(request, serverId))
        expect(wrongPki).toBeInstanceOf(RefusedError)
        expect([Code.ChainIssuer, Code.ChainKeyId, Code.ChainSignature]).toContain(wrongPki.code)
        expect(await muc.identify()).toMatchObject({ step: step.keyMade, sealed: false })
        expect((await commissionMuc(job(muc))).state).toBe("delivered")
        expect(await muc.identify()).toMatchObject({ step: step.delivered, sealed: true })
    })
}, 180_000)

it("tells which secrets it holds and no octet of their values, closes, and says so to whoever opens it again", async () => {
    const values = {
        [kind.key1Plc]: Buffer.from("d1".repeat(32), "hex"),
        [kind.key2Plc]: Buffer.from("d2".repeat(32), "hex"),
        [kind.password]: passwordVerifier("correct horse"),
        [kind.mBus]: Buffer.from("d4".repeat(16), "hex"),
    }
    const secrets: Secret[] = Object.entries(values).map(([of, value]) => ({
        key: { kind: Number(of), address: Number(of) === kind.mBus ? "2423785634121b07" : "" },
        name: of,
        value: () => value,
    }))
    await withMuc(22, async (muc, desk) => {
        const { board, bench } = desk.muc!
        const sent: Buffer[] = []
        const passOn = board.onFrame
        board.onFrame = frame => {
            sent.push(Buffer.from(frame))
            passOn?.(frame)
        }
        const record = await commissionMuc(job(muc, pki, { secrets }))
        expect(record.state).toBe("installed")
        expect(new Set(record.held.map(held => held.kind))).toEqual(new Set([32, 33, 34, 35]))

        const memory = Buffer.from(bench.fram.save())
        const told = Buffer.concat([...sent, Buffer.from(board.log.join("\n")), Buffer.from(JSON.stringify(record))])
        expect(sent.length).toBeGreaterThan(30)
        for (const value of Object.values(values)) {
            expect(memory.includes(value)).toBe(true)
            expect(told.includes(value.subarray(value.length - 8))).toBe(false)
            expect(told.includes(value.toString("hex", value.length - 8))).toBe(false)
        }
        for (const again of [
            () => muc.putKey({ kind: kind.key1Plc, address: "" }, Buffer.alloc(32, 9)),
            () => muc.putCertificate(0, Buffer.alloc(40)),
            () => muc.produce("other"),
            () => muc.makeKey(),
            () => muc.certify(new Date()),
            () => muc.deliver(),
        ])
            expect(await again().catch(error => error)).toMatchObject({ code: Code.AlreadyInstalled })
        expect(Buffer.from(bench.fram.save())).toEqual(memory)
    })
}, 180_000)

it("answers packets that are no command of the service with a code or not at all, and goes on", async () => {
    await withMuc(23, async (muc, desk, bus) => {
        const call = callOver(bus, mucTarget)
        for (let command = 0x80; command <= 0x90; ++command)
            for (const payload of [Buffer.alloc(0), Buffer.alloc(1, 0xff), Buffer.alloc(5, 0xff)])
                await call(command, payload, 300).catch(() => {})
        expect((await muc.identify()).step).toBe(step.bare)
        expect(desk.muc!.board.panic).toBeUndefined()
    })
}, 180_000)
