import type { Ground } from "../bench/cases/ground.ts"
import type { Installer } from "../bench/cases/installer.ts"
import { nextVersion, testModule } from "../bench/cases/modules.ts"
import { signed, submission } from "../bench/cases/packages.ts"
import type { SlotContent, SoftwareState } from "../verify/software.ts"

/** The packages of a play. */
export interface Packages {
    second: Buffer
    third: Buffer
    /** Throws in its first second. */
    bad: Buffer
}

/** A change of a meter's software: what comes before it, what is cut, and when it is done. */
export interface Change {
    name: string
    /** Brings the meter to where the change begins. */
    prepare(installer: Installer, packages: Packages): Promise<void>
    play(installer: Installer, packages: Packages): Promise<void>
    /** Says the state of the slots that it has come about. */
    done(state: SoftwareState): boolean
}

/** Signs them; the third raises the floor above what ships. */
export async function makePackages({ company, hardware }: Ground): Promise<Packages> {
    const make = async (image: Buffer, version: string, floor: string) =>
        (await signed(company.pki, submission(hardware, image, { version, floor }))).octets()
    return {
        second: await make(await nextVersion(), "2.0.0", "1.0.0"),
        third: await make(await testModule("sound"), "3.0.0", "2.0.0"),
        bad: await make(await testModule("throws"), "4.0.0", "2.0.0"),
    }
}

const has = (state: SoftwareState, version: string, wanted: SlotContent["state"]) =>
    state.slots.some(slot => slot.state === wanted && `${slot.version >> 16}.0.0` === version)

async function onTrial(installer: Installer, file: Buffer): Promise<void> {
    await installer.deliver(file)
    await installer.activate(file)
}

async function confirmed(installer: Installer, ...files: Buffer[]): Promise<void> {
    for (const file of files) {
        await onTrial(installer, file)
        await installer.confirm(file)
    }
}

/** In the order of a package's life. */
export const changes: Change[] = [
    {
        name: "delivery",
        prepare: async () => {},
        play: async (installer, { second }) => {
            await installer.deliver(second, async index => {
                if (index % 3 === 1) await installer.reading()
            })
        },
        done: state => has(state, "2.0.0", "verified"),
    },
    {
        name: "delivery over a former version",
        prepare: async (installer, { second, third, bad }) => {
            await confirmed(installer, second, third)
            await onTrial(installer, bad)
            await installer.ground.pass(7)
        },
        play: async (installer, { bad }) => {
            await installer.deliver(bad)
        },
        done: state => has(state, "4.0.0", "verified"),
    },
    {
        name: "activation",
        prepare: async (installer, { second }) => {
            await installer.deliver(second)
        },
        play: async (installer, { second }) => {
            await installer.activate(second)
            await installer.ground.pass(6)
            await installer.ground.powerCut()
        },
        done: state => has(state, "2.0.0", "on trial"),
    },
    {
        name: "trial, its first minute",
        prepare: (installer, { second }) => onTrial(installer, second),
        play: ({ ground }) => ground.pass(62),
        done: state => has(state, "2.0.0", "on trial"),
    },
    {
        name: "trial, its end unconfirmed",
        prepare: async (installer, { second }) => {
            await onTrial(installer, second)
            await installer.ground.pass(885)
        },
        play: ({ ground }) => ground.pass(35),
        done: state => has(state, "2.0.0", "failed") && state.running === "built in",
    },
    {
        name: "trial, its end by a fault",
        prepare: async (installer, { bad }) => {
            await installer.deliver(bad)
        },
        play: async (installer, { bad }) => {
            await installer.activate(bad)
            await installer.ground.pass(7)
            await installer.ground.powerCut()
        },
        done: state => has(state, "4.0.0", "failed") && state.running === "built in",
    },
    {
        name: "confirmation",
        prepare: (installer, { second }) => onTrial(installer, second),
        play: async (installer, { second }) => {
            await installer.confirm(second)
            await installer.ground.powerCut()
        },
        done: state => has(state, "2.0.0", "active") && state.floor === 0x010000,
    },
    {
        name: "confirmation over a former version",
        prepare: async (installer, { second, third, bad }) => {
            await confirmed(installer, second, third)
            await installer.deliver(bad)
        },
        play: async (installer, { third }) => {
            await installer.rollback()
            await installer.ground.pass(6)
            await installer.deliver(third)
            await installer.activate(third)
            await installer.confirm(third)
            await installer.ground.powerCut()
        },
        done: state => has(state, "3.0.0", "active") && state.floor === 0x020000,
    },
    {
        name: "rollback of a trial",
        prepare: (installer, { second }) => onTrial(installer, second),
        play: async installer => {
            await installer.rollback()
            await installer.ground.pass(6)
            await installer.ground.powerCut()
        },
        done: state => has(state, "2.0.0", "failed") && state.running === "built in",
    },
    {
        name: "rollback of an active version",
        prepare: async (installer, { second, third }) => {
            await confirmed(installer, second, third)
        },
        play: async installer => {
            await installer.rollback()
            await installer.ground.pass(6)
            await installer.ground.powerCut()
        },
        done: state => has(state, "3.0.0", "failed") && has(state, "2.0.0", "active"),
    },
]
