import * as ds from "@devicescript/core"
import { ecdhP256, publicKeyP256, signP256, verifyP256 } from "../../../firmware/core/ecdsa"
import { negMul, negMulLess, negSquare } from "../../../firmware/core/p256-field"
import { addPoint, doublePoint, PointSum, primeField, setPoint } from "../../../firmware/core/p256-point"
import { inversePublic, limbsFromOctets, montgomeryMultiply } from "../../../firmware/core/p256-scalar"
import { combTable } from "../../../firmware/core/p256-tables"
import { platform } from "../../../firmware/core/platform"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"

installDevicePlatform(verifyP256)
const none = Buffer.alloc(0)
const machine = platform() as any
const yieldPlain = machine.yieldNow
machine.yieldNow = () => {
    hostCall(22, 0, none, 0)
    yieldPlain()
}
function start() {
    platform().yieldNow()
    hostCall(20, 0, none, 0)
}
function stop(what: string) {
    hostCall(21, 0, Buffer.from(what), 0)
}
start()
stop("none")
const d = hex`c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721`
const digest = hex`af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf`
start()
const q = publicKeyP256(d)
stop("public key")
console.log(q.toString("hex"))
start()
let sig = signP256(d, digest)
stop("sign")
console.log(sig.toString("hex"))
start()
let ok = verifyP256(q, digest, sig)
stop("verify")
console.log(ok)
start()
const z = ecdhP256(d, q)
stop("ecdh")
console.log(z.toString("hex"))
const a = limbsFromOctets(digest, 0),
    b = limbsFromOctets(d, 0),
    r = b.slice()
start()
negMul(r, a, b)
stop("negMul")
start()
negSquare(r, a)
stop("negSquare")
start()
negMulLess(r, a, b, a, 8)
stop("negMulLess")
const f = primeField()
start()
montgomeryMultiply(r, a, b, f)
stop("montgomeryMultiply")
start()
inversePublic(a, f)
stop("inversePublic")
const s = new PointSum(f, false)
setPoint(s, combTable, 0, 1)
addPoint(s, combTable, 64, 1)
start()
doublePoint(s)
stop("double")
start()
addPoint(s, combTable, 128, 1)
stop("add")
for (let i = 0; i < 5; ++i) {
    start()
    sig = signP256(d, digest)
    stop("sign")
}
for (let i = 0; i < 5; ++i) {
    start()
    ok = verifyP256(q, digest, sig)
    stop("verify")
}
ds.restart()
