/** How the generated entry makes one port: what it imports from `hal/`, and the expression. */
export interface Binding {
    /** Module in `hal/` without extension -> names. */
    imports: Record<string, string[]>
    expression: string
}

const store = { mb85rc1mt: ["Mb85rc1mt"] }

/** Ports of a row of `devicescript.json`; only some images have the last ones. */
export type Port = "bus" | "custody" | "spare" | "agreement" | "uplink" | "spi"

/**
 * The bindings `devicescript.json` can name. In the expressions `bus` is the bus of the board, `custody` its custody
 * and `pins` are those of its definition.
 */
export const bindings: Record<Port, Record<string, Binding>> = {
    bus: {
        vm: { imports: { "bus-vm": ["VmBus"] }, expression: "new VmBus()" },
        board: {
            imports: { "bus-board": ["BoardBus"] },
            expression: "new BoardBus(pins.SCL_LINE as any, pins.SDA_LINE as any)",
        },
        jacdac: { imports: { "bus-jacdac": ["JacdacBus"] }, expression: "new JacdacBus()" },
    },
    custody: {
        element: {
            imports: { atecc608: ["Atecc608"], "keys-element": ["ElementCustody"] },
            expression: "new ElementCustody(new Atecc608(bus, 0x60), 0)",
        },
        software: {
            imports: { "keys-software": ["SoftwareCustody"], ...store },
            expression: "new SoftwareCustody(new Mb85rc1mt(bus, 0x50))",
        },
        // An image that signs and verifies nothing.
        none: { imports: {}, expression: "undefined" },
    },
    // The second key, into which a meter's key rolls over: another slot, another place.
    spare: {
        element: {
            imports: { "keys-element": ["ElementCustody"] },
            expression: "new ElementCustody((custody as ElementCustody).part, 2)",
        },
        software: {
            imports: { "keys-software": ["SoftwareCustody"], ...store },
            expression: "new SoftwareCustody(new Mb85rc1mt(bus, 0x50), 0x00900)",
        },
    },
    agreement: {
        // One object a part: it is what keeps the sessions of custody and agreement apart.
        element: {
            imports: { "agreement-element": ["ElementAgreement"], "keys-element": ["ElementCustody"] },
            expression: "new ElementAgreement((custody as ElementCustody).part, 1)",
        },
        software: {
            imports: { "agreement-software": ["SoftwareAgreement"] },
            expression: "new SoftwareAgreement()",
        },
    },
    uplink: {
        net: { imports: { "uplink-net": ["NetUplink"] }, expression: "new NetUplink(0)" },
        netPaced: { imports: { "uplink-net": ["NetUplink"] }, expression: "new NetUplink(100)" },
    },
    // The Ethernet part.
    spi: {
        vm: { imports: { "spi-vm": ["VmSpi"] }, expression: "new VmSpi()" },
        board: {
            imports: { "spi-board": ["BoardSpi"] },
            expression:
                "new BoardSpi(pins.SPI_MISO as any, pins.SPI_MOSI as any, pins.SPI_SCK as any, pins.SPI_CS as any)",
        },
    },
}

/** Field buses that a row can name, and who serves them: module in `firmware/muc/`, and what it exports. */
export const fieldBuses: Record<string, [module: string, exported: string]> = {
    mbus: ["field-mbus", "startMbus"],
    mbus_secured: ["field-mbus-secured", "startSecuredMbus"],
    iec62056: ["field-iec", "startIec62056"],
    wmbus: ["field-wmbus", "startWmbus"],
    sml: ["field-sml", "startSml"],
    dlms: ["field-dlms", "startDlms"],
    dlms_push: ["field-dlms-push", "startDlmsPush"],
    p1: ["field-p1", "startP1"],
}

/** In images that read none. */
export const noSettings: Binding = { imports: {}, expression: "undefined" }

/** Settings and seal switch follow from where the image runs. */
export const surroundings: Record<"vm" | "board", { settings: Binding; startSeal: string; sealOpen: Binding }> = {
    vm: {
        settings: { imports: { "settings-vm": ["VmSettings"] }, expression: "new VmSettings()" },
        startSeal: "",
        sealOpen: { imports: { "seal-vm": ["sealOpenInVm"] }, expression: "sealOpenInVm()" },
    },
    board: {
        settings: { imports: { "settings-board": ["BoardSettings"] }, expression: "new BoardSettings()" },
        startSeal: "startSeal(pins.SEAL as any)",
        sealOpen: { imports: { "pin-board": ["sealOpenAt", "startSeal"] }, expression: "sealOpenAt(pins.SEAL as any)" },
    },
}
