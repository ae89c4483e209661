import { join } from "node:path"
import { Code } from "../../../firmware/core/errors.ts"
import { erasePath } from "../../../firmware/core/sml-parameter.ts"
import { calibrateInVm } from "../../desk/calibrated.ts"
import { revoke } from "../../pki/revoke.ts"
import { certificatesOf, memoriesOf } from "../memories.ts"
import type { Report } from "../report.ts"
import { scan } from "../scan.ts"
import type { Person } from "./company.ts"
import { onStage } from "./on-stage.ts"
import { list, profile, set } from "./requests.ts"
import type { Stage } from "./stage.ts"
import type { Story } from "./story.ts"

const yes = Buffer.of(0)
/** All that was signed (firmware/meter/layout.ts). */
const signed: [name: string, from: number, to: number][] = [
    ["signed lists", 0x04000, 0x06000],
    ["load profile", 0x06000, 0x0e000],
]
const journalAt = 0x01000
const journalRecords = 32
const journalRecord = 116

/**
 * "If a metering device has to be replaced, the memory is completely erased internally, and a new installation is performed as described in
 * chap. 4.1 and 4.3."
 */
export function run(): Promise<Report> {
    const play = async (stage: Stage, story: Story) => {
        const { meter } = stage
        const authority = stage.person("calibration-authority")
        const fitter = await stage.certify("local-operator", "fitter")
        const operator = await stage.certify("operator", "operator")
        // The order has no room beside a certificate: the meter gets to know the fitter first.
        story.done(operator, "reads once more", await stage.tell(operator, meter, [list(), profile()].slice(0, 1)))
        story.refused(
            fitter,
            "erases without an order",
            await stage.tell(fitter, meter, [set(erasePath, yes)]),
            Code.SmlEscape,
        )
        const own = stage.write(fitter, meter, [set(erasePath, yes)], { brief: true, counter: 1000 })
        story.refused(
            fitter,
            "erases with an order of his own",
            await stage.tell(fitter, meter, [set(erasePath, own)], { brief: true, counter: 999 }),
            Code.RoleMismatch,
        )
        const elsewhere = orderOf(stage, authority, { target: Buffer.from("0a01504c4201000000ff", "hex") })
        story.refused(
            fitter,
            "erases with the order for another meter",
            await stage.tell(fitter, meter, [set(erasePath, elsewhere)], { brief: true }),
            Code.CommandTarget,
        )
        const late = orderOf(stage, authority, { from: -7200, to: -3600 })
        story.refused(
            fitter,
            "erases with an order of yesterday",
            await stage.tell(fitter, meter, [set(erasePath, late)], { brief: true }),
            Code.CommandExpired,
        )
        await stage.tell(operator, meter, [list()], { brief: true })
        story.refused(
            operator,
            "erases with the right order",
            await stage.tell(operator, meter, [set(erasePath, orderOf(stage, authority))], { brief: true }),
            Code.FunctionDenied,
        )
        story.refused(
            "the authority",
            "erases alone",
            await stage.tell(authority, meter, [set(erasePath, yes)], { brief: true }),
            Code.FunctionDenied,
        )

        const keyBefore = keyOf(stage)
        await stage.desk.world.runFor(900_000)
        const octetsBefore = octetsOf(stage)
        const before = new Set(journalOf(stage))
        await stage.tell(fitter, meter, [list()])
        const erased = await stage.tell(fitter, meter, [set(erasePath, orderOf(stage, authority))], { brief: true })
        story.shows(fitter.name, "erases with the authority's order", "done", erased.text)
        await stage.desk.world.runFor(60_000)
        const left = scan(meter.bench.fram.memory, certificatesOf(stage.pki), [{ name: "key", octets: keyBefore }])
        const found = left.map(({ kind, name }) => `${kind} ${name}`).join(", ") || "none"
        story.shows("FRAM", "certificates, lists and keys in it", "none", found)
        for (const [i, [name]] of signed.entries()) {
            const [was, is] = [octetsBefore[i], octetsOf(stage)[i]]
            story.shows("FRAM", `octets of ${name} in it`, "0 of many", `${is} of ${was > 0 ? "many" : "none"}`)
        }
        const records = journalOf(stage).filter(record => before.has(record)).length
        story.shows("FRAM", "registers of before in it", "0", `${records}`)
        story.shows("secure element", "the key that signed", "gone", keyOf(stage).equals(keyBefore) ? "there" : "gone")
        const silent = await stage.tell(operator, meter, [list()])
        story.shows(operator.name, "reads the erased meter: it has no name any more", "no answer", silent.text)
        const verdict = await installedAnew(stage)
        story.shows("calibration station", "calibrates and certifies it anew; what it then says is", "proof", verdict)
    }
    return onStage("Replacement and repair of metering devices", play, { muc: false, restart: true })
}

/** How many octets of each kind of `signed` are there. */
function octetsOf(stage: Stage): number[] {
    const { memory } = stage.meter.bench.fram
    return signed.map(([, from, to]) => memory.subarray(from, to).filter(octet => octet !== 0 && octet !== 0xff).length)
}

/** The records of the energy journal that are not blank. */
function journalOf(stage: Stage): string[] {
    const memory = Buffer.from(stage.meter.bench.fram.memory)
    return Array.from({ length: journalRecords }, (_, i) => {
        const at = journalAt + i * journalRecord
        return memory.toString("hex", at, at + journalRecord)
    }).filter(record => !/^(00|ff)*$/.test(record))
}

function orderOf(stage: Stage, authority: Person, manner = {}): Buffer {
    return stage.write(authority, stage.meter, [set(erasePath, yes)], { ...manner, brief: true })
}

/** The private key in the signing slot, as only the model can show it. */
function keyOf(stage: Stage): Buffer {
    return Buffer.from(memoriesOf(stage.meter.bench).keySlots[0]).subarray(4, 36)
}

/** A calibration as any other, of the same board with what its parts keep. */
async function installedAnew(stage: Stage): Promise<string> {
    const { desk, pki, meter } = stage
    const serial = desk.meters[0].serial
    await stage.uplink?.close()
    await desk.close()
    await revoke(pki, join(pki, "meters", meter.id.toString("hex"), "cert.pem"), "cessationOfOperation")
    try {
        await calibrateInVm(join(stage.folder, "state"), serial, pki)
        return "proof"
    } catch (error) {
        return (error as Error).message
    }
}
