//! Kafka, through librdkafka. (being written)
