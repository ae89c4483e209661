import { AUTHENTICATED, type DlmsCiphered, DlmsKeys, ENCRYPTED, openCipheredAs } from "../core/dlms-security"
import { Code, fail } from "../core/errors"
import { cut } from "../core/octets"
import { codeOf, type FieldSide } from "./field-side"

/** Octets of each key of security suite 0. */
const keyLength = 16

/**
 * What is held for the DLMS meter of this system title, installed as a meter's key: encryption key and authentication key, 32 octets, or the encryption key
 * alone: then tags are not checked, and telegrams count as decrypted only. Undefined where there is none.
 */
export function dlmsKeys(side: FieldSide, title: Buffer): DlmsKeys | undefined {
    const key = side.key(title)
    return key ? new DlmsKeys(cut(key, 0, keyLength), cut(key, keyLength, key.length - keyLength)) : undefined
}

/**
 * Takes a telegram that a meter pushed, whose APDU is ciphered (security suite 0). Whose key is held is a meter of ours: it joins the list when it is first heard; it is read in its
 * turn only. `isKnown` tells whether a key has given what such a meter protects (`openCipheredAs`). `DlmsNoKey`, `DlmsWrongKey`, `DlmsMac`, `DlmsReplayed`; `DlmsMode`: not
 * encrypted, or without a tag though the key that checks it is held.
 */
export function takeCiphered(
    side: FieldSide,
    line: number,
    kind: number,
    apdu: DlmsCiphered,
    telegram: Buffer,
    isKnown: (plain: Buffer) => boolean,
): void {
    const plan = side.meters.plan
    const title = apdu.title
    let meter = side.meters.find(line, title)
    if (meter >= 0 && plan.due(meter) > side.now()) return
    const code = codeOf(() => {
        const keys = dlmsKeys(side, title)
        // A meter that is none of ours is nobody's concern.
        if (!keys && meter < 0) return
        const tagged = (apdu.control & AUTHENTICATED) !== 0
        const checks = keys ? keys.authentication.length > 0 : false
        if ((apdu.control & ENCRYPTED) === 0 || (checks && !tagged))
            fail(Code.DlmsMode, 0, "an encrypted APDU with its tag", "control " + apdu.control)
        openCipheredAs(apdu, keys, title, meter < 0 ? -1 : plan.counter(meter), isKnown)
        if (meter < 0) meter = side.add(line, 0, title)
        if (meter < 0) return
        plan.accepted(meter, apdu.counter)
        side.turn(meter, () => side.take(kind, line * 16 + (checks ? 2 : 1), title, telegram))
    })
    // Out of its turn: what somebody sends again must not keep the meter waiting.
    if (code !== 0) side.tell(meter, code)
}

/** Takes a telegram that is not protected: of who was heard first on this line, in its turn. */
export function takePlain(side: FieldSide, line: number, kind: number, address: Buffer, telegram: Buffer): void {
    let meter = side.meters.find(line, address)
    if (meter < 0) {
        if (side.meters.count(line) > 0) return
        meter = side.add(line, 0, address)
    } else if (side.meters.plan.due(meter) > side.now()) return
    if (meter >= 0) side.turn(meter, () => side.take(kind, line * 16, address, telegram))
}
