import type { Report } from "../report.ts"
import type { Ground } from "./ground.ts"
import { Installer } from "./installer.ts"
import { Story } from "./story.ts"

/** Where a play can run: in the VM with everything around the meter, or the meter's program in Node. */
export type Where = "vm" | "node"

/** Sets up the ground, people and a table, plays, and takes all down. */
export async function onGround(
    title: string,
    where: Where,
    play: (installer: Installer, story: Story) => Promise<Report["matrices"]>,
): Promise<Report> {
    const ground: Ground =
        where === "vm"
            ? await (await import("./vm-ground.ts")).VmGround.open()
            : await (await import("./node-ground.ts")).NodeGround.open()
    const { company } = ground
    const story = new Story(`${title}, ${ground.where}`)
    try {
        const operator = await company.certify("operator", "operator")
        const inspector = await company.certify("inspector", "inspector")
        const installer = new Installer(ground, operator, inspector)
        await installer.entries()
        const more = await play(installer, story)
        const report = story.report()
        return { ...report, matrices: [...report.matrices, ...more] }
    } finally {
        await ground.close()
    }
}
