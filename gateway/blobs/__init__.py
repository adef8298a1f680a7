"""Where the bytes of files lie: a folder, or an object storage that speaks S3."""
