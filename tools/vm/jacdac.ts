import { JDBus, Transport } from "jacdac-ts"
import type { Board } from "./board.ts"
import type { World } from "./world.ts"

/** Length octet of frames that are the VM's own (`_twinMessage`), not Jacdac's. */
const largeFrame = 0xff

/**
 * The Jacdac wire between boards of one world and a jacdac-ts bus in this process: a frame of one reaches all
 * the others. The bus keeps real time, so the world's clock must be real.
 */
export class JacdacLink extends Transport {
    private readonly boards: Board[] = []

    constructor(private readonly world: World) {
        super("plomb-vm")
        if (world.virtual) throw new Error("a Jacdac link needs a world with a real clock")
    }

    /** Joins a board; it stays joined over power cycles. */
    attach(board: Board): void {
        this.boards.push(board)
        board.onFrame = frame => {
            if (frame[2] === largeFrame) return
            // Not now: the VM that sends is executing, and drops what comes in meanwhile.
            this.world.after(0, () => {
                for (const other of this.boards) if (other !== board) other.receiveFrame(frame)
                this.handleFrame(frame, true)
            })
        }
    }

    protected override async transportConnectAsync(): Promise<void> {}

    protected override async transportDisconnectAsync(): Promise<void> {}

    protected override async transportSendPacketAsync(frame: Uint8Array): Promise<void> {
        for (const board of this.boards) board.receiveFrame(frame)
    }
}

/** A started jacdac-ts bus with these boards on it; `dispose` it at the end. */
export async function openBoardBus(world: World, boards: Board[]): Promise<JDBus> {
    const link = new JacdacLink(world)
    for (const board of boards) link.attach(board)
    const bus = new JDBus([link], { client: false, disableRoleManager: true })
    bus.passive = false
    bus.start()
    await bus.connect()
    return bus
}
