import "../node/platform.ts"
import { checkImage } from "../../firmware/sandbox/image.ts"
import type { BuiltIn, BuiltInProgram } from "../../hal/machine.ts"
import { checkOf, findVariant, moduleOf } from "../build/build.ts"
import { versionNumber } from "../package/manifest.ts"

function program(bytecode: Uint8Array | undefined): BuiltInProgram {
    if (!bytecode) throw new Error("the meter's image has no module")
    const image = Buffer.from(bytecode)
    return { image, called: checkImage(image) }
}

/** What ships inside the meter's image: the module that measures, and the program that checks packages. */
export async function shipped(): Promise<BuiltIn> {
    const variant = findVariant("meter", "vm")
    const { name, version } = variant.module!
    const module = program(await moduleOf(variant))
    return { ...module, name, version: versionNumber(version), floor: 0, check: program(await checkOf(variant)) }
}
