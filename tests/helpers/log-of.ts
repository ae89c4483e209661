import { Board } from "../../tools/vm/board.ts"
import { compile, type Image } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

/** What a program logs (`logOfImage`), compiled with or without the optimiser. */
export async function logOf(text: string, optimize: boolean): Promise<string[]> {
    const main = "probe/main.ts"
    return logOfImage(await compile(main, { files: { [main]: text }, optimize }))
}

/** What a program logs until it says "end" or ends by itself; stack traces, which tell of the code's form, left out. */
export async function logOfImage(image: Image): Promise<string[]> {
    const world = new World({ clock: "virtual" })
    const board = new Board({ image, world, onEnd: () => {} })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("end") || !board.powered, 60_000)
    await board.powerOff()
    world.close()
    return board.log.filter(line => !/^(\* |\*? *at )|Dev[sS]-SHA|^!? *at /.test(line.trim()))
}
