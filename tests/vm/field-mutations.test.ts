import { describe, expect, it } from "vitest"
import { dlmsDamage, iec62056Damage, p1Damage } from "../../tools/campaign/field-mutations.ts"
import { runDamage } from "../../tools/campaign/mutations.ts"

/** Protocol, and outcomes that show how far the damage reaches. */
const protocols = {
    "IEC 62056-21": { damage: iec62056Damage, reaches: ["read", "stream", "IecForm", "IecCheck", "IecParity"] },
    P1: { damage: p1Damage, reaches: ["read", "opened", "P1Crc", "DlmsWrongKey"] },
    DLMS: {
        damage: dlmsDamage,
        reaches: [
            "stream",
            "data",
            "APDU",
            "association",
            "opened",
            "AxdrTruncated",
            "AxdrType",
            "AxdrDepth",
            "DlmsMac",
            "DlmsReplayed",
        ],
    },
}

for (const [name, { damage, reaches }] of Object.entries(protocols))
    describe(`damaged telegrams of ${name}`, () => {
        it("give a value or a typed error with its place, in Node", async () => {
            const { summary, failures } = await runDamage(damage, 5000, 7, "node")
            expect(failures).toEqual([])
            for (const outcome of reaches) expect(summary[0]).toContain(`${outcome} `)
        })

        it("give the same in the VM as in Node, in a bounded number of steps", async () => {
            expect((await runDamage(damage, 250, 8, "vm")).failures).toEqual([])
        }, 300_000)
    })
