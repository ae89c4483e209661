/** Commands of the ATECC608B model that use P-256 keys: GenKey, Sign, Verify, ECDH. */
import { createHash } from "node:crypto"
import { p256 } from "@noble/curves/nist.js"
import { type AteccState, type Command, demand, Status } from "./atecc608b-state"

const ephemeral = 0xffff
const keyAt = 4

function publicOctets(privateKey: Uint8Array): Uint8Array {
    return p256.getPublicKey(privateKey, false).slice(1)
}

/** X | Y as a point; 05 where it is none. */
function pointOf(xy: Uint8Array): Uint8Array {
    const point = Uint8Array.from([4, ...xy])
    demand(p256.utils.isValidPublicKey(point), Status.EccFault)
    return point
}

/** Private key of a slot that may be used; counts a limited use. */
function privateKey(state: AteccState, slot: number): Uint8Array {
    const { memory } = state
    demand(memory.isPrivate(slot), Status.Execution)
    const key = memory.slots[slot].slice(keyAt, 36)
    demand(p256.utils.isValidSecretKey(key), Status.Execution)
    return key
}

function countUse(state: AteccState, slot: number): void {
    if (state.memory.slotConfig(slot) & 0x20) demand(state.memory.increment(0), Status.Execution)
}

/** A slot has a key that can be used. */
export function keyValid(state: AteccState, slot: number): boolean {
    const { memory } = state
    if (memory.isPrivate(slot)) return p256.utils.isValidSecretKey(memory.slots[slot].slice(keyAt, 36))
    if (!memory.isPublic(slot) || slot < 8) return false
    return p256.utils.isValidPublicKey(Uint8Array.from([4, ...storedPublic(state, slot)]))
}

function storedPublic(state: AteccState, slot: number): Uint8Array {
    const octets = state.memory.slots[slot]
    return Uint8Array.from([...octets.subarray(4, 36), ...octets.subarray(40, 72)])
}

/** Digest GenKey leaves in TempKey: it binds TempKey, command, serial number and public key. */
function keyDigest(state: AteccState, head: Uint8Array, publicKey: Uint8Array): Uint8Array {
    const tempKey = state.volatile.tempKey
    demand(tempKey !== undefined && tempKey.data.length === 32 && !tempKey.privateKey, Status.Execution)
    const serial = state.memory.serial
    const hash = createHash("sha256")
        .update(tempKey.data)
        .update(Uint8Array.of(0x40, ...head))
    hash.update(Uint8Array.of(serial[8], serial[0], serial[1]))
        .update(new Uint8Array(25))
        .update(publicKey)
    return new Uint8Array(hash.digest())
}

/** GenKey 40: makes a key or computes a public key or its digest. */
export function genKey(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory, volatile } = state
    demand([0x00, 0x04, 0x08, 0x0c, 0x10].includes(p1), p1 & 0x20 ? Status.Execution : Status.Parse)
    demand(p2 < 16 || (p2 === ephemeral && p1 === 0x04), Status.Parse)
    demand(data.length === (p1 === 0x10 ? 3 : 0), Status.Parse)
    demand(memory.configLocked, Status.Execution)
    if (p1 === 0x10) {
        demand(p2 >= 8 && memory.isPublic(p2), Status.Execution)
        const digest = keyDigest(state, data, storedPublic(state, p2))
        volatile.tempKey = { data: digest, random: volatile.tempKey!.random, genKeySlot: p2 }
        return Uint8Array.of(Status.Success)
    }
    if (p2 === ephemeral) {
        const key = p256.utils.randomSecretKey(state.random(48))
        volatile.tempKey = { data: key, random: true, privateKey: true }
        return publicOctets(key)
    }
    if (p1 & 0x04) {
        demand(memory.isPrivate(p2) && !memory.slotLocked(p2), Status.Execution)
        // What a slot's WriteConfig forbids is forbidden from the data lock on.
        demand(!memory.dataLocked || (memory.slotConfig(p2) & 0x2000) !== 0, Status.Execution)
        const key = p256.utils.randomSecretKey(state.random(48))
        memory.slots[p2].fill(0)
        memory.slots[p2].set(key, keyAt)
    } else demand(memory.isPrivate(p2) && (memory.keyConfig(p2) & 2) !== 0, Status.Execution)
    const publicKey = publicOctets(privateKey(state, p2))
    if (p1 & 0x08) {
        const digest = keyDigest(state, Uint8Array.of(p1, p2, 0), publicKey)
        volatile.tempKey = { data: digest, random: volatile.tempKey!.random, genKeySlot: p2 }
    }
    return publicKey
}

/** Sign 41, external mode: R | S over the digest in TempKey or MsgDigBuf. */
export function sign(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory, volatile } = state
    demand(data.length === 0 && p2 < 16 && (p1 & 0x1e) === 0, Status.Parse)
    // Internal signatures are not modelled.
    demand((p1 & 0x80) !== 0 && memory.configLocked, Status.Execution)
    demand((memory.slotConfig(p2) & 1) !== 0, Status.Execution)
    const fromBuffer = (p1 & 0x20) !== 0
    const source = fromBuffer ? volatile.msgDigBuf : volatile.tempKey
    demand(source !== undefined && source.data.length === 32 && !source.privateKey, Status.Execution)
    const needsRandom = (memory.keyConfig(p2) & 0x40) !== 0
    demand(!needsRandom || (source.random && !fromBuffer), Status.Execution)
    const key = privateKey(state, p2)
    countUse(state, p2)
    // Every signature needs its digest loaded afresh.
    volatile.tempKey = undefined
    volatile.msgDigBuf = undefined
    return p256.sign(source.data, key, { prehash: false, lowS: false, extraEntropy: state.random(32) })
}

/** Verify 45 with an external or a stored public key. */
export function verify(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory, volatile } = state
    const mode = p1 & 0x07
    demand((p1 & 0x58) === 0, Status.Parse)
    demand(mode === 0 || mode === 2 || mode === 1 || mode === 3 || mode === 7, Status.Parse)
    demand(data.length === (mode === 2 ? 128 : mode === 0 ? 64 : 83), Status.Parse)
    demand(mode === 2 ? p2 === 4 : p2 < 16, Status.Parse)
    // Validated public keys and the MAC over the result are not modelled.
    demand((mode === 0 || mode === 2) && (p1 & 0x80) === 0 && memory.configLocked, Status.Execution)
    const source = p1 & 0x20 ? volatile.msgDigBuf : volatile.tempKey
    demand(source !== undefined && source.data.length === 32 && !source.privateKey, Status.Execution)
    let publicKey = data.subarray(64)
    if (mode === 0) {
        demand(p2 >= 8 && memory.isPublic(p2) && (memory.keyConfig(p2) & 2) === 0, Status.Execution)
        publicKey = storedPublic(state, p2)
    }
    const point = pointOf(publicKey)
    volatile.tempKey = undefined
    volatile.msgDigBuf = undefined
    let good = false
    try {
        good = p256.verify(data.subarray(0, 64), source.data, point, { prehash: false, lowS: false })
    } catch {
        // R or S out of range is a signature that does not match.
    }
    return Uint8Array.of(good ? Status.Success : Status.Miscompare)
}

/** ECDH 43: X of the shared point, in clear, to TempKey or to a slot. */
export function ecdh(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory, volatile } = state
    demand(data.length === 64 && (p1 & 0xf0) === 0, Status.Parse)
    demand(memory.configLocked, Status.Execution)
    const fromTempKey = (p1 & 1) !== 0
    const target = (p1 >> 2) & 3
    let key: Uint8Array
    if (fromTempKey) {
        demand(volatile.tempKey?.privateKey === true && target !== 0, Status.Execution)
        key = volatile.tempKey.data
    } else {
        demand(p2 < 16, Status.Parse)
        demand((memory.slotConfig(p2) & 4) !== 0, Status.Execution)
        key = privateKey(state, p2)
    }
    const protect = memory.config[91] & 3
    // Encrypted output needs the IO protection key, which is not modelled.
    demand((p1 & 2) === 0 && target !== 1, Status.Execution)
    const toSlot = !fromTempKey && (memory.slotConfig(p2) & 8) !== 0
    const clear = target === 3 || (target === 0 && !toSlot)
    demand(!clear || (protect === 0 && !toSlot), Status.Execution)
    const shared = p256.getSharedSecret(key, pointOf(data)).slice(1, 33)
    if (!fromTempKey) countUse(state, p2)
    if (fromTempKey) volatile.tempKey = undefined
    if (clear) return shared
    if (target === 2) volatile.tempKey = { data: shared, random: false }
    else memory.slots[p2 | 1].set(shared)
    return Uint8Array.of(Status.Success)
}
