// Reads one JSON object a line: {formats, metadata, hex}; writes each frame as npm iso_8583 reads it.
// `metadata` is how many bytes (TPDU and header) stand between the length and the message type.
const Iso8583 = require("iso_8583");

const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  const { formats, metadata, hex } = JSON.parse(line);
  const decoder = new Iso8583({}, formats);
  decoder.metaData = Buffer.alloc(metadata);
  console.log(JSON.stringify(decoder.getIsoJSON(Buffer.from(hex, "hex"))));
}
