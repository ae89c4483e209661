import { BusSchedule, READ_DONE } from "../../../firmware/core/bus-schedule"
import { IecReceiver } from "../../../firmware/core/iec62056"
import { platform } from "../../../firmware/core/platform"
import { VmBus } from "../../../hal/bus-vm"
import { IecLink } from "../../../hal/iec62056-link"
import { Mb85rc1mt } from "../../../hal/mb85rc1mt"
import { MBUS_SELECTED, MbusMaster } from "../../../hal/mbus-master"
import { PushListener } from "../../../hal/push-listener"
import { installDevicePlatform } from "../../../hal/runtime"
import { Sc16is752 } from "../../../hal/sc16is752"
import { RADIO_AMB8465, RADIO_C1_T1, WmbusReceiver } from "../../../hal/wmbus-receiver"

// Each link of the field side once, on the models of the host; one line of log a result.

const bus = new VmBus()
installDevicePlatform(() => false)
const first = new Sc16is752(bus, 0x4d, 14745600)
const second = new Sc16is752(bus, 0x48, 14745600)
first.start()
second.start()

function tell(name: string, action: () => string): void {
    try {
        console.log(name + " " + action())
    } catch (e: any) {
        console.log(name + " failed " + e.message)
        e.print()
    }
}

const master = new MbusMaster(first.port(0), 2400)
tell("primary", () => {
    master.open()
    let octets = ""
    let count = 0
    for (let round = 0; round < 2; ++round)
        count += master.read(7, frame => {
            octets = frame.toString("hex")
        })
    return count + " " + master.line.echoes + " " + octets
})

tell("several", () => {
    let digests = ""
    const count = master.read(8, frame => {
        digests += " " + frame.length
    })
    return count + digests
})

tell("silent", () => {
    try {
        master.read(99, () => {})
    } catch (error) {
        return "" + (error as any).code + " " + master.silent
    }
    return "read"
})

tell("scan", () => {
    let found = ""
    master.scanPrimary(5, 9, (address, frame) => {
        found += address + ":" + (frame ? frame.length : "several") + " "
    })
    return found
})

tell("selected", () => {
    master.select(hex`78563412ffffffff`)
    let octets = ""
    master.read(MBUS_SELECTED, frame => {
        octets = frame.toString("hex")
    })
    return octets
})

tell("schedule", () => {
    const fram = new Mb85rc1mt(bus, 0x50)
    fram.start()
    const plan = new BusSchedule(fram, 0x2000, 250, 4)
    for (let meter = 0; meter < 250; ++meter) {
        plan.set(meter, meter & 3, 15, 1800000000)
        if ((meter & 15) === 15) platform().yieldNow()
    }
    const meter = plan.next(2, 1800000900)
    plan.done(meter, READ_DONE, true, 1800000900)
    const again = new BusSchedule(fram, 0x2000, 250, 4)
    let same = 0
    for (let i = 0; i < plan.records.length; ++i) {
        if (plan.records[i] === again.records[i]) ++same
        if ((i & 255) === 255) platform().yieldNow()
    }
    return (meter & 3) + " " + same + " " + again.patient(meter)
})

tell("iec", () => {
    const link = new IecLink(first.port(1), true, 1024)
    let said = ""
    link.read("", 9600, (identification, data) => {
        said = identification.mode() + " " + (data.end - data.at) + " " + link.repeats
    })
    return said
})

tell("radio", () => {
    let heard = 0
    let octets = ""
    const receiver = new WmbusReceiver(second.port(0), RADIO_AMB8465, (telegram, dBm) => {
        ++heard
        octets = telegram.toString("hex") + " " + dBm
    })
    receiver.start(RADIO_C1_T1)
    console.log("listening")
    for (let i = 0; i < 400 && heard === 0; ++i) {
        platform().sleepMs(10)
        receiver.poll()
    }
    return octets
})

tell("push", () => {
    let text = ""
    const receiver = new IecReceiver(true, 512, octets => {
        text = octets.length + ""
    })
    const listener = new PushListener(second.port(1), receiver, 200, true)
    listener.open(2400, 0)
    console.log("pushed")
    for (let i = 0; i < 400 && text.length === 0; ++i) {
        platform().sleepMs(10)
        listener.poll()
    }
    return text
})

console.log("done")
