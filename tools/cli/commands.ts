/** One `plomb` command. Its folder's module is loaded only when it is called. */
export interface Command {
    name: string
    summary: string
    help(): Promise<string>
    /** Exit code: 0 done, 1 refused or failed. Throw `UsageError` for wrong words. */
    run(args: string[]): Promise<number>
}

/** A command in `tools/NAME/command.ts`, which exports `help: string` and `run(args)`. */
function lazy(name: string, summary: string): Command {
    const load = () => import(`../${name}/command.ts`)
    return {
        name,
        summary,
        help: async () => (await load()).help,
        run: async args => (await load()).run(args),
    }
}

export const commands: Command[] = [
    lazy("demo", "a meter and a MUC on the desk: calibrate, read, prove, and show what tampering looks like"),
    lazy("build", "compile every image for every board of devicescript.json and print the budgets"),
    lazy("flash", "put an image on a board"),
    lazy("run", "run one board of an image in the stock VM, in the foreground"),
    lazy("desk", "run calibrated meters and a MUC on one RS-485 line in the VM, in the foreground"),
    lazy("calibrate", "the calibration station: key made inside, certificate in, element locked, test reading"),
    lazy(
        "commission",
        "production and installation of a MUC: key made inside, certificate in, element locked, keys in",
    ),
    lazy("pki", "make and show the parties, their keys and certificates; revoke"),
    lazy("package", "software packages: submit, approve, sign, look at, judge as a device does"),
    lazy("directory", "the authentication directory (LDAPv3): serve one, publish certificates and lists, look them up"),
    lazy("headend", "accept MUCs, pull readings, store evidence"),
    lazy("operator", "signed commands of a person to a meter or MUC: read, set, change rights, provider, key; erase"),
    lazy("concentrator", "between MUCs and providers: relay, and collect, keep and deliver"),
    lazy("verify", "judge stored evidence offline, as a list of findings"),
    lazy("decode", "decode a telegram to JSON"),
    lazy("emulate", "a meter on a serial port, pseudo-terminal or socket: SML, M-Bus, IEC 62056-21, DLMS"),
    lazy("vectors", "run public test vectors through the core, in Node or in the VM"),
    lazy("bench", "run a scenario on the VM and print what came of it"),
    lazy("campaign", "the long test campaigns: power cuts, mutations"),
    lazy("perf", "measure, each figure beside its peer"),
    lazy("lint", "what the DeviceScript compiler would refuse, and the import rules"),
]
