import { expect, test } from "vitest"
import { run as connections } from "../../tools/campaign/tls-connections"
import { run as mutations } from "../../tools/campaign/tls-mutations"

// A thousand connections: `plomb campaign tls-connections`.

test("TLS connections of all kinds, good and refused, leave the VM's heap as it was", async () => {
    const { failures, cases } = await connections(57)
    expect(failures).toEqual([])
    expect(cases).toBe(57)
})

test("changed messages end a handshake in the VM as they do in Node", async () => {
    expect((await mutations(6, 3, "vm")).failures).toEqual([])
})
