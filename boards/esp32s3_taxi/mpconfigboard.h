// MicroPython 1.28 or newer for the reference board. Built out of tree:
//   make -C micropython/ports/esp32 BOARD=esp32s3_taxi BOARD_DIR=/path/to/boards/esp32s3_taxi
// MIT licence, (c) 2026 The Flagfall contributors.

#define MICROPY_HW_BOARD_NAME               "Flagfall taximeter"
#define MICROPY_HW_MCU_NAME                 "ESP32-S3"

// UART0 belongs to the printer: while the console has it, machine.UART refuses larger buffers.
// The USB socket is the maintenance cable; it is TinyUSB's CDC and not the chip's USB Serial/JTAG,
// since that one resets the chip when a computer asks it to.
#define MICROPY_HW_ENABLE_UART_REPL         (0)
#define MICROPY_HW_ENABLE_USBDEV            (1)
#define MICROPY_HW_USB_CDC                  (1)
#define MICROPY_HW_ESP_USB_SERIAL_JTAG      (0)

// Nothing on the cable may throw a running meter into the boot loader: BOOT and RESET do that.
#define MICROPY_HW_USB_CDC_1200BPS_TOUCH    (0)

// No radio is used beyond the seed of the random generator.
#define MICROPY_PY_BLUETOOTH                (0)
#define MICROPY_PY_ESPNOW                   (0)

#define MICROPY_HW_I2C0_SCL                 (9)
#define MICROPY_HW_I2C0_SDA                 (8)
