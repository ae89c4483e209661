import "../node/platform.ts"
import { checkImage } from "../../firmware/sandbox/image.ts"
import type { BuiltIn, BuiltInProgram } from "../../hal/machine.ts"
import { findVariant, programsOf } from "../build/build.ts"
import { versionNumber } from "../package/manifest.ts"

function program(bytecode: Uint8Array | undefined): BuiltInProgram {
    if (!bytecode) throw new Error("the image has no module")
    const image = Buffer.from(bytecode)
    return { image, called: checkImage(image) }
}

/** What ships inside an image: its module, and the program that checks packages, or keeps software. */
export async function shipped(image: "meter" | "muc_modules" = "meter"): Promise<BuiltIn> {
    const variant = findVariant(image, "vm")
    const { name, version } = variant.module!
    const programs = await programsOf(variant)
    return {
        ...program(programs?.module),
        name,
        version: versionNumber(version),
        floor: 0,
        check: program(programs?.check),
        orders: programs?.orders && program(programs.orders),
    }
}
