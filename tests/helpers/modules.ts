import { crc16 } from "../../firmware/core/crc16"
import { checkImage } from "../../firmware/sandbox/image"
import { Sandbox, type SandboxHost, type SandboxLimits } from "../../firmware/sandbox/sandbox"
import { compile, type Image } from "../../tools/vm/compile.ts"

/** The metrological module, version 1 as it ships; version 2 has one more tariff. */
export function metrologyModule(version: 1 | 2): Promise<Image> {
    return compile("firmware/modules/metrology.ts", {
        version: `${version}.0.0`,
        change: (path, text) => {
            if (version === 1 || !path.endsWith("metrology.ts")) return text
            if (!text.includes("const tariffs = 2\n")) throw new Error("version 1 has no constant of tariffs any more")
            return text.replace("const tariffs = 2\n", "const tariffs = 3\n")
        },
        changeName: `metrology ${version}`,
    })
}

/** Parameters of a metrological module: gains of counts, and switches [minute, days, tariff]. */
export function parametersOf(switches: [number, number, number][], energyGain = 1000): Buffer {
    const octets = Buffer.alloc(64)
    octets.writeDoubleLE(energyGain, 0)
    octets.writeDoubleLE(0.001, 8)
    octets.writeDoubleLE(0.0001, 16)
    octets.writeDoubleLE(20_000, 24)
    octets.writeUInt16LE(switches.length, 32)
    switches.forEach(([minute, days, tariff], i) => {
        octets.writeUInt16LE(minute, 34 + i * 4)
        octets[36 + i * 4] = days
        octets[37 + i * 4] = tariff
    })
    const end = 34 + switches.length * 4
    octets.writeUInt16LE(crc16(octets, 0, end, 0xffff) ^ 0xffff, end)
    return octets
}

/** What the front end and the clock say before a tick. */
export interface Inputs {
    counts: number
    volts?: number
    amperes?: number
    status?: number
    /** Seconds of the local day, day of the week from Monday 0, quality as in signed lists. */
    seconds: number
    day?: number
    quality?: number
}

export function inputsOf(inputs: Inputs): Buffer {
    const octets = Buffer.alloc(32)
    octets.writeInt32LE(inputs.counts, 0)
    octets.writeUInt32LE(Math.round((inputs.volts ?? 230) * 1000), 8)
    octets.writeUInt32LE(Math.round((inputs.amperes ?? 5) * 10_000), 12)
    octets.writeUInt32LE(inputs.status ?? 0, 16)
    octets.writeUInt32LE(inputs.seconds, 20)
    octets[24] = inputs.day ?? 2
    octets[25] = inputs.quality ?? 2
    return octets
}

/** A checked image in a sandbox. */
export function sandboxOf(bytecode: Uint8Array, host: SandboxHost, limits: SandboxLimits): Sandbox {
    const image = Buffer.from(bytecode)
    return new Sandbox(image, host, limits, checkImage(image))
}
