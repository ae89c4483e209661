import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type JDBus, OutPipe } from "jacdac-ts"
import { type Built, buildVariant, checkout } from "../build/build.ts"
import { readManifest } from "../build/manifest.ts"
import { findBoard, LinkError, type Target } from "./link.ts"

/** The service by which any DeviceScript board takes a program; the image that runs does not matter. */
const managerTarget: Target = { serviceClass: 0x1134ea2b, board: "board", service: "DeviceScript manager" }
const deployBytecode = 0x80

/** Waits for the one board on the bus and builds `image` for it, which its product id tells apart. Throws `LinkError`. */
export async function imageFor(bus: JDBus, image: string, timeoutMs: number): Promise<Built> {
    const { device } = await findBoard(bus, timeoutMs, managerTarget)
    const id = await device.resolveProductIdentifier()
    const variants = readManifest(checkout).filter(each => each.image === image && each.board === each.hardware)
    const variant = variants.find(each => productOf(each.hardware) === id)
    if (!variant) throw new LinkError(`there is no ${image} for a board with product id ${id?.toString(16) ?? "none"}`)
    return buildVariant(variant)
}

function productOf(hardware: string): number | undefined {
    if (hardware === "vm") return undefined
    return Number(JSON.parse(readFileSync(join(checkout, "boards", `${hardware}.board.json`), "utf8")).productId)
}

/** Puts a program on the one board of the bus, which then starts it; settings, FRAM and secure element stay. Throws `LinkError`. */
export async function deploy(bus: JDBus, bytecode: Uint8Array): Promise<void> {
    const manager = await findBoard(bus, 15_000, managerTarget)
    try {
        await OutPipe.sendBytes(manager, deployBytecode, bytecode)
    } catch (error) {
        throw new LinkError(`the board did not take its program (${(error as Error).message})`)
    }
}
