/**
 * The part of jacdac-ts that the tools use. The package carries its own types, but its `exports` keep
 * them from being found.
 */
declare module "jacdac-ts" {
    export class Packet {
        static from(serviceCommand: number, data: Uint8Array): Packet
        static jdpacked(serviceCommand: number, format: string, values: unknown[]): Packet
        jdunpack<T>(format: string): T
        readonly data: Uint8Array
    }

    export class JDDevice {
        readonly deviceId: string
        resolveProductIdentifier(): Promise<number | undefined>
    }

    export const OutPipe: {
        sendBytes(service: JDService, command: number, data: Uint8Array): Promise<void>
    }

    export class JDService {
        readonly device: JDDevice
        readonly serviceClass: number
        sendPacketAsync(packet: Packet): Promise<void>
        sendCmdAwaitResponseAsync(packet: Packet, timeoutMs?: number): Promise<Packet>
    }

    export class JDServiceServer {
        constructor(serviceClass: number)
        addCommand(command: number, handler: (packet: Packet) => Promise<void>): void
        sendPacketAsync(packet: Packet): Promise<void>
    }

    export abstract class Transport {
        constructor(type: string, options?: object)
        protected abstract transportSendPacketAsync(frame: Uint8Array): Promise<void>
        protected abstract transportConnectAsync(background?: boolean): Promise<void>
        protected abstract transportDisconnectAsync(background?: boolean): Promise<void>
        protected handleFrame(frame: Uint8Array, skipCrc?: boolean): void
        disconnect(): Promise<void>
        dispose(): void
    }

    export class JDBus {
        constructor(transports: Transport[], options?: object)
        passive: boolean
        start(): void
        stop(): Promise<void>
        connect(background?: boolean): Promise<void>
        disconnect(): Promise<void>
        dispose(): void
        services(options: { serviceClass: number }): JDService[]
    }

    export function addServer(bus: JDBus, name: string, server: JDServiceServer): void
    export function loadServiceSpecifications(specifications: object[]): void
    export function createNodeWebSerialTransport(serialPort: unknown): Transport
}
