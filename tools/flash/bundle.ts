import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Built } from "../build/build.ts"
import { toolchain } from "../vm/toolchain.ts"
import { Wasm } from "../vm/wasm.ts"
import type { Target } from "./firmware.ts"

/**
 * The flash store of a board that holds a program and nothing else, as the stock VM writes it. `size` in octets is
 * that of the board's store.
 */
export async function flashStore(bytecode: Uint8Array, size: number): Promise<Uint8Array> {
    let store: Uint8Array | undefined
    const nothing = () => {}
    let ms = 0
    const wasm = await Wasm.create({
        now: () => ++ms,
        random: target => target.fill(0),
        log: nothing,
        panic: nothing,
        frame: nothing,
        flashSize: size,
        flashLoad: nothing,
        flashSave: octets => {
            store = octets.slice()
        },
        socketOpen: () => -1,
        socketWrite: () => -1,
        socketClose: () => -1,
    })
    wasm.setDeviceId("0000000000000000")
    wasm.init()
    const refused = wasm.deploy(bytecode)
    if (refused !== 0) throw new Error(`the VM refused the image (${refused})`)
    if (!store) throw new Error("the VM wrote no flash store")
    // The VM leaves the erased end out; on a board there may be something older in its place.
    const whole = new Uint8Array(size).fill(0xff)
    whole.set(store)
    return whole
}

/** Octets of a board's flash store. */
export function storeSize(target: Target): number {
    const { board, arch } = target
    return (board.fstorPages ?? arch.fstorPages) * (board.flashPageSize ?? arch.flashPageSize)
}

/**
 * One file with everything a board needs: the stock runtime in `firmware`, our board definition and the image, put
 * together by the DeviceScript CLI's own code (which prints the pins). Answers its path, in the build's folder. The CLI's `bundle` command
 * would compile the image anew, under another name and without its checksum, so its parts are used.
 */
export async function bundle(built: Built, target: Target, firmware: string): Promise<string> {
    const { patchCustomBoard, patchFstorToBoard } = toolchain()
    const { board, arch } = target
    // The file name tells the flash tool where the file goes ("…-0x0.bin").
    const name = target.name.replace(/(.*-)([a-z]\w+)/i, (_, before) => before + board.id)
    const file = join(built.folder, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, await patchCustomBoard(firmware, { ...board }, arch))
    const store = await flashStore(built.image.bytecode, storeSize(target))
    writeFileSync(file, await patchFstorToBoard(file, board, arch, store))
    return file
}
