module kmswatch

go 1.26
