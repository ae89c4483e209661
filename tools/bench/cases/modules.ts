import { compile } from "../../vm/compile.ts"

const metrology = "firmware/modules/metrology.ts"

/** The next version of it: one more tariff. */
export async function nextVersion(): Promise<Buffer> {
    const { bytecode } = await compile(metrology, {
        version: "2.0.0",
        change: (path, text) => {
            if (!path.endsWith(metrology)) return text
            if (!text.includes("const tariffs = 2\n")) throw new Error("version 1 has no constant of tariffs any more")
            return text.replace("const tariffs = 2\n", "const tariffs = 3\n")
        },
        changeName: "one more tariff",
    })
    return Buffer.from(bytecode)
}

/** A module of `tools/bench/device/modules`, by its file's name. */
export async function testModule(name: string): Promise<Buffer> {
    return Buffer.from((await compile(`tools/bench/device/modules/${name}.ts`)).bytecode)
}
