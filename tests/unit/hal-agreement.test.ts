import { createECDH } from "node:crypto"
import { beforeEach, describe, expect, it } from "vitest"
import { installPlatform, platform } from "../../firmware/core/platform"
import { ElementAgreement } from "../../hal/agreement-element"
import { SoftwareAgreement } from "../../hal/agreement-software"
import { Atecc608 } from "../../hal/atecc608"
import { ElementCustody } from "../../hal/keys-element"
import type { KeyAgreement } from "../../hal/ports"
import { Atecc608b } from "../../tools/chips/atecc608b"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"

const digest = Buffer.alloc(32, 0x42)

let time: ModelTime

beforeEach(() => {
    time = new ModelTime()
    time.install()
})

/** An element on a bus; `octets` is all that went over it. */
function bench() {
    const model = new Atecc608b({ clock: time, serial: 0x1234 })
    const bus = new ModelBus(time, [model])
    const custody = new ElementCustody(new Atecc608(bus, 0x60), 0)
    return { model, bus, custody, agreement: new ElementAgreement(custody.part, 1) }
}

function sealed() {
    const made = bench()
    made.custody.configure()
    made.custody.generateKey()
    made.custody.seal()
    return made
}

/** The other side, by node:crypto. */
function other() {
    const ecdh = createECDH("prime256v1")
    const publicKey = ecdh.generateKeys().subarray(1)
    return { publicKey, secret: (own: Buffer) => ecdh.computeSecret(Buffer.concat([Buffer.of(4), own])) }
}

describe.each<[string, () => KeyAgreement]>([
    ["in a sealed element", () => sealed().agreement],
    ["in software", () => new SoftwareAgreement()],
])("Key agreement %s", (_name, make) => {
    it("comes to the secret that the other side comes to", () => {
        const agreement = make()
        for (let i = 0; i < 3; ++i) {
            const peer = other()
            const own = agreement.begin()
            expect(own).toHaveLength(64)
            expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
        }
    })

    it("makes another pair each time", () => {
        const agreement = make()
        const keys = [agreement.begin(), agreement.begin()]
        agreement.agree(other().publicKey)
        keys.push(agreement.begin())
        expect(new Set(keys.map(key => key.toString("hex"))).size).toBe(3)
    })

    it("has its pair ready where it was prepared, which serves as any other and once", () => {
        const agreement = make()
        const peer = other()
        agreement.prepare()
        expect(codeThrown(() => agreement.agree(peer.publicKey))).toBe("KeyAbsent")
        const own = agreement.begin()
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
        agreement.prepare()
        agreement.prepare()
        const next = agreement.begin()
        expect(next).not.toEqual(own)
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(next))
    })

    it("serves once a pair, and not before one", () => {
        const agreement = make()
        const peer = other().publicKey
        expect(codeThrown(() => agreement.agree(peer))).toBe("KeyAbsent")
        agreement.begin()
        agreement.agree(peer)
        expect(codeThrown(() => agreement.agree(peer))).toBe("KeyAbsent")
    })

    it.each([
        ["is not on the curve", (key: Buffer) => Buffer.from(key.map((octet, i) => (i === 63 ? octet ^ 1 : octet)))],
        [
            "has a coordinate above the prime",
            (key: Buffer) => Buffer.concat([Buffer.alloc(32, 0xff), key.subarray(32)]),
        ],
        ["is all zero", () => Buffer.alloc(64)],
        ["is short", (key: Buffer) => key.subarray(1)],
    ])("refuses a peer's key that %s, and that pair is spent", (_what, spoil) => {
        const agreement = make()
        const peer = other()
        agreement.begin()
        expect(codeThrown(() => agreement.agree(spoil(peer.publicKey)))).toBe("BadPublicKey")
        expect(codeThrown(() => agreement.agree(peer.publicKey))).toBe("KeyAbsent")
        const own = agreement.begin()
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
    })
})

describe("Key agreement in the element", () => {
    it("needs a locked configuration, not a locked data zone", () => {
        const { custody, agreement } = bench()
        expect(codeThrown(() => agreement.begin())).toBe("ElementExecution")
        custody.configure()
        const peer = other()
        const own = agreement.begin()
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
    })

    it("is refused in a slot that only signs", () => {
        const { custody } = sealed()
        const agreement = new ElementAgreement(custody.part, 2)
        agreement.begin()
        expect(codeThrown(() => agreement.agree(other().publicKey))).toBe("ElementExecution")
    })

    it("is refused where the chip's options forbid a secret in clear (ECDHPROT)", () => {
        const { custody, agreement } = bench()
        // A fresh part, whose slot 1 has ECDH; word 22 is SlotLocked and ChipOptions.
        custody.part.write(0, 22, Buffer.from("ffff0001", "hex"))
        custody.part.lock(0x80, 0)
        agreement.begin()
        expect(codeThrown(() => agreement.agree(other().publicKey))).toBe("ElementExecution")
    })

    it("leaves no key behind that could open the session again once the next is prepared", () => {
        const { custody, agreement } = sealed()
        const peer = other()
        const own = agreement.begin()
        const secret = agreement.agree(peer.publicKey)
        agreement.prepare()
        expect(custody.part.genKey(1, false)).not.toEqual(own)
        expect(custody.part.ecdh(1, peer.publicKey)).not.toEqual(secret)
    })

    it("makes one key a session, and none while it lasts where the next was prepared", () => {
        const { bus, agreement } = sealed()
        let made = 0
        const transfer = bus.transfer.bind(bus)
        bus.transfer = (address, write, length) => {
            if (address === 0x60 && write[0] === 3 && write[2] === 0x40 && write[3] === 4) ++made
            return transfer(address, write, length)
        }
        agreement.prepare()
        for (let i = 0; i < 4; ++i) {
            const before = made
            agreement.begin()
            agreement.agree(other().publicKey)
            expect(made).toBe(before)
            agreement.prepare()
        }
        expect(made).toBe(5)
    })

    it("lets the custody sign between begin and agree", () => {
        const { custody, agreement } = sealed()
        const peer = other()
        const own = agreement.begin()
        const signature = custody.sign(digest)
        expect(custody.verify(custody.publicKey(), digest, signature)).toBe(true)
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
    })

    it("begins anew after power was lost between begin and agree", () => {
        const { model, bus, agreement } = sealed()
        agreement.begin()
        model.powerOff()
        model.powerOn()
        const after = new ElementAgreement(new Atecc608(bus, 0x60), 1)
        const peer = other()
        expect(codeThrown(() => after.agree(peer.publicKey))).toBe("KeyAbsent")
        const own = after.begin()
        expect(after.agree(peer.publicKey)).toEqual(peer.secret(own))
    })

    it("passes on what ails the part, and makes a new key when it is well again", () => {
        const { bus, agreement } = sealed()
        agreement.begin()
        bus.model.faults.nackAddress = new Set([0x60])
        expect(codeThrown(() => agreement.agree(other().publicKey))).toBe("ElementWake")
        bus.model.faults.nackAddress = undefined
        const peer = other()
        const own = agreement.begin()
        expect(agreement.agree(peer.publicKey)).toEqual(peer.secret(own))
    })
})

describe("Key agreement in software", () => {
    it("overwrites the private key when it has served, when it was refused and when it is replaced", () => {
        const drawn: Buffer[] = []
        const machine = platform()
        installPlatform({
            ...machine,
            randomOctets: count => {
                const octets = machine.randomOctets(count)
                if (count === 32) drawn.push(octets)
                return octets
            },
        })
        const agreement = new SoftwareAgreement()
        // The draw that is the private key, told by the public one; others are for blinding.
        const begun = () => {
            drawn.length = 0
            const own = agreement.begin()
            return drawn.find(octets => publicOf(octets).equals(own))!
        }
        const served = begun()
        agreement.agree(other().publicKey)
        const refused = begun()
        expect(codeThrown(() => agreement.agree(Buffer.alloc(64)))).toBe("BadPublicKey")
        const replaced = begun()
        const last = begun()
        for (const key of [served, refused, replaced]) expect(key).toEqual(Buffer.alloc(32))
        expect(last).not.toEqual(Buffer.alloc(32))
    })
})

function publicOf(privateKey: Buffer): Buffer {
    const ecdh = createECDH("prime256v1")
    ecdh.setPrivateKey(privateKey)
    return ecdh.getPublicKey().subarray(1)
}
