/**
 * Octets of function code up to which an image is accepted: program counters have 16 bits, counted from the
 * beginning of the image.
 */
export const codeLimit = 64 * 1024

/** Octets of the largest image that an RP2040 takes (128 KB flash store); an ESP32 has room for twice that. */
export const imageLimit = 110_464

/** A part of the code with a share of the limit. */
export interface Room {
    name: string
    /** KB of function code. */
    budget: number
    /** Source files that belong here: the first room that matches takes the file. */
    files: RegExp
}

/**
 * The shares of the 64 KB. These are what the rooms came to, rounded up, so that growth shows.
 * Raising one is a decision: say what for. No image has all rooms, and the 64 KB hold for each image whatever the shares.
 */
export const rooms: Room[] = [
    { name: "p256", budget: 17, files: /^(firmware\/core\/(p256|ecdsa|rfc6979)|hal\/keys-software)/ },
    { name: "update", budget: 4, files: /^firmware\/core\/(lms|hss|cose|cbor)/ },
    { name: "evidence", budget: 7, files: /^firmware\/core\/(signed|access|command|logbook|evidence|journal)/ },
    // Field buses of DLMS and P1: security suite 0 with AES-GCM, HDLC.
    { name: "dlms", budget: 9, files: /^firmware\/core\/(dlms|hdlc|axdr|gcm|p1-receive|p1)/ },
    // A meter that reads others (meter_master) takes 24.8: the M-Bus decoder comes with what opens encrypted telegrams.
    { name: "core", budget: 25, files: /^firmware\/core\// },
    { name: "tls", budget: 12, files: /^firmware\/tls\// },
    { name: "sandbox", budget: 11, files: /^firmware\/sandbox\// },
    { name: "drivers", budget: 13.5, files: /^hal\// },
    // The MUC with display and customer on the power line (muc_plc) takes 18.4, the meter with software download and panel 18.8.
    { name: "app", budget: 19, files: /^firmware\// },
    { name: "library", budget: 6, files: /^node_modules\/@devicescript\// },
    // The program's start: constants of all modules, and the tables of the classes' methods.
    { name: "start", budget: 4.5, files: /./ },
]
