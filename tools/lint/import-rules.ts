/** Which modules a file may import: the table of the layout's one-way dependencies. */
export interface ImportRule {
    /** Files it applies to, relative to the checkout; the first rule that matches a file decides. */
    files: RegExp
    /** Imported files (relative to the checkout, without extension) and package names that are allowed. */
    allowed: RegExp[]
    /** Said when something else is imported. */
    says: string
}

const core = /^firmware\/core\//
// A link is the framing above a port, not a chip.
const ports =
    /^hal\/(ports|machine|rs485-link|plc-uart|mbus-master|iec62056-link|wmbus-receiver|push-listener|octet-line)$/
const anyHal = /^hal\//
const library = /^@devicescript\//

export const importRules: ImportRule[] = [
    // Puts a device together in Node, as main.ts does on a board.
    { files: /^tools\/within\//, allowed: [/./], says: "" },
    // Programs of tools and tests that run in the VM.
    {
        files: /(^|\/)device\//,
        allowed: [/(^|\/)device\//, /^firmware\//, anyHal, library, /^@dsboard\//],
        says: "programs in device/ import firmware, hal and the DeviceScript library",
    },
    { files: /^firmware\/core\//, allowed: [core], says: "core imports only core" },
    {
        files: /^firmware\/tls\//,
        allowed: [core, /^firmware\/tls\//],
        says: "tls imports only core",
    },
    {
        files: /^firmware\/sandbox\//,
        allowed: [core, /^firmware\/sandbox\//],
        says: "sandbox imports only core",
    },
    {
        files: /^firmware\/modules\//,
        allowed: [/^@devicescript\/core$/],
        says: "a module runs alone: it imports nothing but @devicescript/core",
    },
    {
        files: /^firmware\/overlays\//,
        allowed: [core, /^firmware\/(overlays\/|sandbox\/image$)/, /^@devicescript\/core$/],
        says: "an overlay runs in the sandbox: it imports only core, its own room, the check of images and @devicescript/core",
    },
    ...["meter", "muc", "display"].flatMap(app => appRules(app)),
    {
        files: /^hal\/(runtime|pin-board|(bus|spi|uplink|settings|seal|cipher)-\w+)\.ts$/,
        allowed: [core, anyHal, library],
        says: "a binding imports core, hal and the DeviceScript library",
    },
    {
        files: anyHal,
        allowed: [core, anyHal],
        says: "a driver imports only core and hal, so that it also runs in Node",
    },
    { files: /^tests\//, allowed: [/./], says: "" },
    {
        files: /^tools\//,
        allowed: [core, /^firmware\/tls\//, /^tools\//, /^[^.].*$/],
        says: "tools import core, tls and tools, no app and no driver",
    },
]

/** What tools must not reach, whatever the last rule says of package names. */
export const closedToTools =
    /^((hal|tests|boards|services)(\/|$)|firmware\/(?!(core|tls)\/|sandbox\/(image|[a-z]+-calls)$))/

function appRules(app: string): ImportRule[] {
    const own = new RegExp(`^firmware/${app}/`)
    const shared = [core, /^firmware\/(tls|sandbox)\//, own, ports, /^@devicescript\/(core|runtime|server|servers)$/]
    return [
        {
            files: new RegExp(`^firmware/${app}/(main|install|calibrate|field|lan|plc|modules|line)\\.ts$`),
            allowed: [...shared, anyHal],
            says: "entries and what composes them: core, its own rooms, hal",
        },
        {
            files: own,
            allowed: shared,
            says: "an app touches the hardware only through hal/ports and hal/machine",
        },
    ]
}
