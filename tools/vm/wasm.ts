import { withCollector, withStepCounter } from "./patch.ts"
import { vmBinary } from "./toolchain.ts"

/** What the VM calls in its host. Throwing from any of them unwinds the VM, which is then unusable. */
export interface VmImports {
    /** Milliseconds, fractions allowed; must never go back. */
    now(): number
    random(target: Uint8Array): void
    /** One line of the VM's log, with its marker. */
    log(line: string): void
    /** The program ended: 0 asks for a restart, anything else is a panic code. */
    panic(code: number): void
    /** One Jacdac frame out. */
    frame(octets: Uint8Array): void
    flashSize: number
    flashLoad(target: Uint8Array): void
    flashSave(octets: Uint8Array): void
    socketOpen(host: string, port: number): number
    /** The octets may be rewritten in place; the result is what the program's call answers. */
    socketWrite(octets: Uint8Array): number
    socketClose(): number
}

/** The program asked for a reset of its board (`ds.reboot()`). */
export class Rebooted extends Error {}

/** The VM aborted: a fault in the VM itself or in how it was used. */
export class Aborted extends Error {}

/** One instance of the VM. Do not call into it from one of its imports. */
export class Wasm {
    private readonly exports: any
    private readonly octets: Uint8Array

    private constructor(instance: WebAssembly.Instance) {
        this.exports = instance.exports
        this.octets = new Uint8Array(this.exports.memory.buffer)
        this.exports.emscripten_stack_init()
        this.exports.__wasm_call_ctors()
    }

    /** A fresh instance, before `init`; with `counting`, of the copy that counts steps. */
    static async create(imports: VmImports, counting = false): Promise<Wasm> {
        let wasm: Wasm
        const heap = () => wasm.memory()
        const text = (pointer: number, limit: number) => {
            const octets = heap().subarray(pointer, pointer + limit)
            const end = octets.indexOf(0)
            return Buffer.from(octets.buffer, octets.byteOffset, end < 0 ? octets.length : end).toString("utf8")
        }
        const env = {
            _devs_panic_handler: (code: number) => imports.panic(code),
            _jd_tcpsock_is_available: () => 1,
            _jd_tcpsock_new: (host: number, port: number) => imports.socketOpen(text(host, 256), port),
            _jd_tcpsock_write: (data: number, length: number) =>
                imports.socketWrite(heap().subarray(data, data + length)),
            _jd_tcpsock_close: () => imports.socketClose(),
            abort: () => {
                throw new Aborted("the VM aborted")
            },
            exit: () => {
                throw new Rebooted("the program rebooted its board")
            },
            em_deploy_handler: () => {},
            em_flash_size: () => imports.flashSize,
            em_flash_load: (start: number, size: number) => imports.flashLoad(heap().subarray(start, start + size)),
            em_flash_save: (start: number, size: number) => imports.flashSave(heap().slice(start, start + size)),
            em_jd_crypto_get_random: (target: number, size: number) =>
                imports.random(heap().subarray(target, target + size)),
            em_print_dmesg: (line: number) => imports.log(text(line, 1024)),
            em_send_frame: (frame: number) => imports.frame(heap().slice(frame, frame + 12 + heap()[frame + 2])),
            em_send_large_frame: (frame: number, size: number) => imports.frame(heap().slice(frame, frame + size)),
            em_time_now: () => imports.now(),
            emscripten_memcpy_big: (to: number, from: number, size: number) => {
                heap().copyWithin(to, from, from + size)
            },
            emscripten_resize_heap: () => {
                throw new Aborted("the VM ran out of host memory")
            },
        }
        const stdio = { fd_close: () => 0, fd_seek: () => 70, fd_write: () => 0 }
        const instance = await WebAssembly.instantiate(await moduleFor(counting), {
            env,
            wasi_snapshot_preview1: stdio,
        })
        wasm = new Wasm(instance)
        return wasm
    }

    /** The VM's whole memory; the view stays valid, as this memory never grows. */
    memory(): Uint8Array {
        return this.octets
    }

    /** Bytecode steps executed so far; only where steps are counted. */
    get steps(): number {
        return Number(this.exports.steps.value)
    }

    /** The step after this many traps; only where steps are counted. */
    limitSteps(limit: number): void {
        this.exports.stepLimit.value = BigInt(limit)
    }

    /** Collects the garbage of the heap at this address. */
    collect(heap: number): void {
        this.exports.collect(heap)
    }

    setDeviceId(id: string): void {
        this.withOctets(Buffer.from(id + "\0"), pointer => this.exports.jd_em_set_device_id_string(pointer))
    }

    init(): void {
        this.exports.jd_em_init()
    }

    /** Runs whatever is due; answers the microseconds until something more is. */
    process(): number {
        return this.exports.jd_em_process()
    }

    /** Stores and starts a program; 0 or a negative reason. */
    deploy(bytecode: Uint8Array): number {
        return this.withOctets(bytecode, pointer => this.exports.jd_em_devs_deploy(pointer, bytecode.length))
    }

    /** 0 where the VM would run this program, or a negative reason. */
    verify(bytecode: Uint8Array): number {
        return this.withOctets(bytecode, pointer => this.exports.jd_em_devs_verify(pointer, bytecode.length))
    }

    frameReceived(frame: Uint8Array): number {
        return this.withOctets(frame, pointer => this.exports.jd_em_frame_received(pointer))
    }

    /** Socket event: 1 open, 2 close, 3 error with a text, 4 data. */
    socketEvent(kind: number, data: Uint8Array): void {
        this.withOctets(data, pointer => this.exports.jd_em_tcpsock_on_event(kind, pointer, data.length))
    }

    private withOctets<T>(octets: Uint8Array, use: (pointer: number) => T): T {
        const pointer = this.exports.malloc(octets.length + 1)
        this.memory().set(octets, pointer)
        const result = use(pointer)
        this.exports.free(pointer)
        return result
    }
}

const modules = new Map<boolean, Promise<WebAssembly.Module>>()

/** The VM, with or without the step counter, compiled once a process. */
function moduleFor(counting: boolean): Promise<WebAssembly.Module> {
    const known = modules.get(counting)
    if (known) return known
    const exported = withCollector(vmBinary())
    const compiled = WebAssembly.compile((counting ? withStepCounter(exported) : exported) as BufferSource)
    modules.set(counting, compiled)
    return compiled
}
