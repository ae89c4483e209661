import type { UartPort } from "../../hal/ports"
import { DlmsReader } from "./dlms-reader"
import type { FieldSide } from "./field-side"

/** DLMS/COSEM meters that are asked, over HDLC on this line (8N1; setting "baud" and the line's number). */
export function startDlms(side: FieldSide, line: number, port: UartPort): void {
    serveDlms.start(side, line, new DlmsReader(side, line, port))
}

function serveDlms(side: FieldSide, line: number, reader: DlmsReader): void {
    side.serve(
        line,
        () => reader.open(),
        () => reader.turn(),
    )
}
