// Poses of pictures by an exported network, with MXNet's C predict API and no Python.
//
//   predict EXPORT PICTURE...
//
// EXPORT is how the files of an export begin, such as runs/toy/export-bytes/toy3-kinematic. It must
// be one of `tools/export.py --preprocess`, of the format mxnet or int8: such a graph takes bytes.
// A PICTURE is a binary PPM or PGM file of the size that the network takes; all are one batch.
// docs/tutorials/deploy.md tells more.

#include <cstdint>  // c_predict_api.h uses it and does not include it

#include <mxnet/c_predict_api.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// One output of the graph: joints or motion parameters.
struct Output {
    std::string name, frame;
    std::vector<std::string> names, units;  // one for each joint or parameter
    std::size_t columns;                    // coordinates of a joint; 1 for a parameter
};

// What the program needs of <name>-signature.json.
struct Signature {
    std::string input;
    std::uint32_t height, width;
    std::vector<Output> outputs;
    std::size_t symbol_bytes, parameter_bytes;
};

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.is_open() || file.bad()) throw Error(path + ": cannot be read");
    return content;
}

std::string read_file(const std::string& path, std::size_t size) {
    std::string content = read_file(path);
    if (content.size() != size) {
        throw Error(path + ": " + std::to_string(content.size()) + " bytes, expected " +
                    std::to_string(size) + " by its signature");
    }
    return content;
}

Output read_output(const std::string& path, const nlohmann::json& tree) {
    Output output;
    output.name = tree.at("name").get<std::string>();
    output.names = tree.at("names").get<std::vector<std::string>>();
    if (output.name == "joints") {
        output.columns = tree.at("shape").at(2).get<std::size_t>();
        output.frame = tree.at("frame").get<std::string>();
        output.units.assign(output.names.size(), tree.at("unit").get<std::string>());
    } else {
        output.columns = 1;
        output.units = tree.at("units").get<std::vector<std::string>>();
    }
    // By these numbers the program reads what the network computes.
    if (output.names.empty() || output.columns == 0 || output.units.size() != output.names.size()) {
        throw Error(path + ": output " + output.name + ": " + std::to_string(output.names.size()) +
                    " names, " + std::to_string(output.units.size()) + " units, " +
                    std::to_string(output.columns) +
                    " columns, expected at least one and a unit for each name");
    }
    return output;
}

Signature read_signature(const std::string& path) {
    const std::string text = read_file(path);
    try {
        const auto tree = nlohmann::json::parse(text);
        if (tree.at("format") != "gluon_dkpr/signature/2") {
            throw Error(path + ": format is " + tree.at("format").dump() +
                        ", expected gluon_dkpr/signature/2");
        }
        const auto& graph = tree.at("graph");
        if (graph.at("format") == "onnx" || !graph.at("preprocess").get<bool>()) {
            throw Error(path + ": expected an export with --preprocess, of format mxnet or int8");
        }
        Signature signature;
        const auto& input = tree.at("inputs").at(0);  // (batch, height, width, 3)
        signature.input = input.at("name").get<std::string>();
        signature.height = input.at("shape").at(1).get<std::uint32_t>();
        signature.width = input.at("shape").at(2).get<std::uint32_t>();
        for (const auto& entry : tree.at("outputs")) {
            signature.outputs.push_back(read_output(path, entry));
        }
        const auto& files = tree.at("files");
        signature.symbol_bytes = files.at("symbol").at("size").get<std::size_t>();
        signature.parameter_bytes = files.at("parameters").at("size").get<std::size_t>();
        return signature;
    } catch (const nlohmann::json::exception& error) {
        throw Error(path + ": " + error.what());
    }
}

// Returns a number of the head of a PPM file, 0 if none is there.
std::uint32_t read_number(std::istream& file) {
    while (file >> std::ws && file.peek() == '#') {
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    std::uint32_t number = 0;
    file >> number;
    return number;
}

// Appends a picture to a batch: red, green, blue of every pixel, 0 to 255, row by row.
void read_picture(const std::string& path, const Signature& signature, std::vector<float>* batch) {
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open()) throw Error(path + ": cannot be read");
    std::string kind(2, ' ');
    file.read(&kind[0], 2);
    const std::uint32_t width = read_number(file), height = read_number(file);
    const std::uint32_t white = read_number(file);
    if ((kind != "P5" && kind != "P6") || !file || white != 255) {
        throw Error(path + ": expected a binary PPM or PGM file of 8 bits");
    }
    if (width != signature.width || height != signature.height) {
        throw Error(path + ": " + std::to_string(width) + " x " + std::to_string(height) +
                    " px, expected " + std::to_string(signature.width) + " x " +
                    std::to_string(signature.height));
    }
    file.get();  // one white space ends the head
    const std::size_t channels = kind == "P6" ? 3 : 1;
    std::vector<unsigned char> bytes(channels * width * height);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file) throw Error(path + ": ends before its last pixel");
    for (unsigned char byte : bytes) batch->insert(batch->end(), channels == 3 ? 1 : 3, byte);
}

// MXNet's message goes on with a stack trace; the first line says it.
void check(int status, const std::string& what) {
    if (status == 0) return;
    const std::string message = MXGetLastError();
    throw Error(what + ": " + message.substr(0, message.find('\n')));
}

class Network {
  public:
    Network(const std::string& path, const Signature& signature, std::uint32_t batch)
        : path_(path), signature_(signature), batch_(batch), handle_(nullptr, MXPredFree) {
        const std::string symbol = read_file(path + "-symbol.json", signature.symbol_bytes);
        const std::string values = read_file(path + "-0000.params", signature.parameter_bytes);
        const char* inputs[] = {signature.input.c_str()};
        const std::uint32_t ends[] = {0, 4};
        const std::uint32_t shape[] = {batch, signature.height, signature.width, 3};
        std::vector<const char*> outputs;
        for (const Output& output : signature.outputs) outputs.push_back(output.name.c_str());
        const int cpu = 1;
        PredictorHandle handle = nullptr;
        check(MXPredCreatePartialOut(symbol.c_str(), values.data(), static_cast<int>(values.size()),
                                     cpu, 0, 1, inputs, ends, shape,
                                     static_cast<std::uint32_t>(outputs.size()), outputs.data(),
                                     &handle),
              path);
        handle_.reset(handle);
    }

    // Returns the outputs of a batch, in the order of the signature.
    std::vector<std::vector<float>> run(const std::vector<float>& pixels) {
        check(MXPredSetInput(handle_.get(), signature_.input.c_str(), pixels.data(),
                             static_cast<std::uint32_t>(pixels.size())),
              path_);
        check(MXPredForward(handle_.get()), path_);
        std::vector<std::vector<float>> found;
        for (const Output& output : signature_.outputs) {
            // MXNet refuses another size than that of the output.
            found.emplace_back(batch_ * output.names.size() * output.columns);
            check(MXPredGetOutput(handle_.get(), static_cast<std::uint32_t>(found.size() - 1),
                                  found.back().data(),
                                  static_cast<std::uint32_t>(found.back().size())),
                  path_);
        }
        return found;
    }

  private:
    std::string path_;
    const Signature& signature_;
    std::uint32_t batch_;
    std::unique_ptr<void, int (*)(PredictorHandle)> handle_;
};

void print(const Output& output, const float* values) {
    const std::string frame = output.frame.empty() ? "" : ", " + output.frame;
    std::printf("  %s%s\n", output.name.c_str(), frame.c_str());
    for (std::size_t row = 0; row < output.names.size(); ++row) {
        std::printf("    %-24s", output.names[row].c_str());
        for (std::size_t i = 0; i < output.columns; ++i) std::printf(" %13.6f", *values++);
        std::printf("  %s\n", output.units[row].c_str());
    }
}

void predict(const std::string& path, const std::vector<std::string>& pictures) {
    const Signature signature = read_signature(path + "-signature.json");
    std::vector<float> pixels;
    for (const std::string& picture : pictures) read_picture(picture, signature, &pixels);
    Network network(path, signature, static_cast<std::uint32_t>(pictures.size()));
    const auto found = network.run(pixels);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
        std::printf("%s\n", pictures[i].c_str());
        for (std::size_t j = 0; j < found.size(); ++j) {
            print(signature.outputs[j], &found[j][i * found[j].size() / pictures.size()]);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: predict EXPORT PICTURE...\n");
        return 2;
    }
    setenv("MXNET_SUBGRAPH_VERBOSE", "0", 0);  // a line about oneDNN that nobody asked for
    try {
        predict(argv[1], std::vector<std::string>(argv + 2, argv + argc));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "predict: error: %s\n", error.what());
        return 2;
    }
    return 0;
}
