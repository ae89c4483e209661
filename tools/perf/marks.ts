/** A figure to reach or beat, in the unit of the row it stands in, and where it is from. */
export interface Mark {
    value: number
    from: string
}

const notes = "crypto-notes"
const performance = "performance notes"

/** All marks of `plomb perf`. Times are of other machines; steps and octets are not. */
export const marks = {
    multiplySteps: { value: 969, from: notes },
    squareSteps: { value: 740, from: notes },
    signSteps: { value: 755_000, from: notes },
    verifySteps: { value: 3_430_000, from: notes },
    signMs: { value: 17.5, from: notes },
    verifyMs: { value: 80, from: notes },
    lmsW4Steps: { value: 22_000, from: notes },
    lmsW4Ms: { value: 1.2, from: notes },
    lmsW4Pico: { value: 81, from: notes },
    lmsW8Steps: { value: 120_000, from: notes },
    lmsW8Ms: { value: 8, from: notes },
    lmsW8Pico: { value: 570, from: notes },
    p256Code: { value: 12_300, from: notes },
    p256Tables: { value: 4096, from: notes },
    /** A telegram a second with most of the time left: half a second of a Pico at 2.5 us a step. */
    smlSteps: { value: 200_000, from: `${performance}, 9: half a second of a Pico` },
    /** Sign, count and the bus, the element at its longest. */
    elementMs: { value: 150, from: `${performance}, 3: element and its bus` },
    /** 1 KB in the VM. */
    recordSteps: { value: 131_000, from: "ChaCha20-Poly1305 alone, in the same VM" },
    handshakeMs: { value: 1500, from: `${performance}, 6: mutual TLS on ESP32 natively takes 1.2 to 3 s` },
    handshakeHeap: { value: 16_384, from: "a quarter of the heap for the application" },
    /** Readings of 100,000 meters, 96 a day. */
    readingsPerSecond: { value: 111, from: `${performance}, 8: 100,000 meters, 96 readings a day` },
} satisfies Record<string, Mark>
