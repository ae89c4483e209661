import { expect, test } from "vitest"
import { cellsIn, reportText } from "../../tools/bench/report"
import { gnutls } from "../../tools/bench/tls-gnutls"
import { interop } from "../../tools/bench/tls-interop"
import { openssl } from "../../tools/bench/tls-openssl"
import { requireExtra } from "../extras"

// The whole matrix is `plomb bench tls-interop`.

for (const peer of [openssl, gnutls]) requireExtra(peer.name, peer.version !== undefined, peer.howToGet)

test("TLS 1.3 with OpenSSL, GnuTLS and node:tls as client and as server, in Node", async () => {
    const report = await interop({ where: ["Node"] })
    expect(cellsIn(report, "unexpected"), reportText(report)).toEqual([])
    expect(cellsIn(report, "expected").length).toBeGreaterThan(20)
})

test("TLS 1.3 with OpenSSL, GnuTLS and node:tls as client and as server, in the VM", async () => {
    const report = await interop({ where: ["VM"], suites: [0x1303], trials: ["full"] })
    expect(cellsIn(report, "unexpected"), reportText(report)).toEqual([])
})

test("resumption, retry and key updates with AES-128-GCM and OpenSSL, in the VM", async () => {
    const trials = ["resumed", "retry", "its updates"]
    const report = await interop({ where: ["VM"], suites: [0x1301], peers: ["OpenSSL"], trials })
    expect(cellsIn(report, "unexpected"), reportText(report)).toEqual([])
})
