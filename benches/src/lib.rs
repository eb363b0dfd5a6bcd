pub mod decode_lines;
