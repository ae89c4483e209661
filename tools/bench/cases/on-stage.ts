import { withNames } from "../../vm/codes.ts"
import type { Report } from "../report.ts"
import { Stage, type StageOptions } from "./stage.ts"
import { Story } from "./story.ts"

/** Plays a use case on a fresh stage and takes that down, whatever comes. */
export async function onStage(
    title: string,
    play: (stage: Stage, story: Story) => Promise<void>,
    options: StageOptions = {},
): Promise<Report> {
    const story = new Story(title)
    const stage = await Stage.open(options)
    try {
        await play(stage, story)
        if (!story.good) story.notes.push(...printed(stage))
        return story.report()
    } catch (error) {
        throw new Error([(error as Error).message, ...printed(stage)].join("\n"), { cause: error })
    } finally {
        await stage.close()
    }
}

/** What the boards printed last. */
function printed({ desk }: Stage): string[] {
    const boards = [...desk.meters, ...(desk.muc ? [desk.muc] : [])]
    return boards.flatMap(({ board }, i) =>
        board.log.slice(-12).map(line => `${i === 0 ? "meter" : "MUC"}: ${withNames(line)}`),
    )
}
